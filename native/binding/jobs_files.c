/* File jobs of a node. */
#include "../engine/files.h"

#include <stdlib.h>
#include <string.h>

#include "modules.h"
#include "runtime.h"
#include "value.h"

#define PARTS_MAX 16384
#define PATH_BYTES_MAX 4096

typedef struct {
  hf_job job;
  hf_append_target target;
  size_t part_count;
  char witness[PATH_BYTES_MAX];
  struct iovec parts[];
} append_job;

/* Code: the errno. Value: step at which it came, 0 for none; 16 is added when file and witness are still there. */
static void run_append(hf_task *task, hf_worker *worker) {
  append_job *job = (append_job *)task;
  hf_append_result result = hf_append(&job->target, job->parts, job->part_count, job->witness, worker);
  hf_job_done(&job->job, result.error, (double)result.failed_at + (result.there ? 16 : 0));
}

/* append(id, file, position, parts, witness, direct): `direct` is a descriptor for O_DIRECT, or undefined */
static napi_value append(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  napi_valuetype direct_type = napi_undefined;
  uint64_t file = 0;
  uint64_t direct = 0;
  uint64_t position = 0;
  uint32_t count = 0;
  size_t path_bytes = 0;
  bool is_array = false;
  if (!hf_arguments(env, info, 6, arguments) || !hf_get_size(env, arguments[1], "file", INT32_MAX, &file) ||
      !hf_get_size(env, arguments[2], "position", UINT64_C(1) << 53, &position)) {
    return NULL;
  }
  napi_typeof(env, arguments[5], &direct_type);
  if (direct_type != napi_undefined && !hf_get_size(env, arguments[5], "direct", INT32_MAX, &direct)) return NULL;
  if (napi_is_array(env, arguments[3], &is_array) != napi_ok || !is_array ||
      napi_get_array_length(env, arguments[3], &count) != napi_ok || count > PARTS_MAX) {
    hf_throw_type(env, "parts", "an array of at most 16,384 Uint8Arrays");
    return NULL;
  }
  append_job *job = hf_job_new(env, arguments[0], sizeof *job + count * sizeof *job->parts);
  if (job == NULL) return NULL;
  job->target = (hf_append_target){(int)file, direct_type == napi_undefined ? -1 : (int)direct, position};
  job->part_count = count;
  if (napi_get_value_string_utf8(env, arguments[4], job->witness, sizeof job->witness, &path_bytes) != napi_ok ||
      path_bytes == 0 || path_bytes + 1 >= sizeof job->witness) {
    hf_throw_type(env, "witness", "a path of less than 4,096 bytes");
    hf_job_discard(job);
    return NULL;
  }
  for (uint32_t i = 0; i < count; i++) {
    napi_value part;
    hf_bytes bytes;
    if (napi_get_element(env, arguments[3], i, &part) != napi_ok || !hf_get_bytes(env, part, "a part", &bytes)) {
      hf_job_discard(job);
      return NULL;
    }
    job->parts[i] = (struct iovec){bytes.bytes, bytes.length};
  }
  return hf_job_submit(env, &job->job, HF_POOL_FILES, run_append);
}

int hf_define_file_jobs(napi_env env, napi_value exports) {
  static const hf_function functions[] = {{"append", append}};
  return hf_define(env, exports, functions, 1);
}
