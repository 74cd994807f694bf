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

static int get_witness(napi_env env, napi_value value, append_job *job) {
  size_t path_bytes = 0;
  if (napi_get_value_string_utf8(env, value, job->witness, sizeof job->witness, &path_bytes) == napi_ok && path_bytes > 0 &&
      path_bytes + 1 < sizeof job->witness && strlen(job->witness) == path_bytes) {
    return 1;
  }
  hf_throw_type(env, "witness", "a path of less than 4,096 bytes");
  return 0;
}

/* As many parts as the job has room for. All entries are read before the memory of any is looked for (value.h). */
static int get_parts(napi_env env, napi_value value, append_job *job) {
  size_t count = 0;
  napi_value *entries = malloc(job->part_count * sizeof *entries + 1);
  if (entries == NULL) {
    napi_throw_error(env, "ERR_MEMORY", "no memory for a native job");
    return 0;
  }
  int good = hf_get_entries(env, value, "parts", job->part_count, entries, &count);
  job->part_count = count;
  for (size_t i = 0; i < count && good; i++) {
    hf_bytes bytes = {NULL, 0};
    good = hf_get_bytes(env, entries[i], "a part", &bytes);
    job->parts[i] = (struct iovec){bytes.bytes, bytes.length};
  }
  free(entries);
  return good;
}

/* append(id, file, position, parts, witness, direct): `direct` is a descriptor for O_DIRECT, or undefined */
static napi_value append(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  napi_valuetype direct_type = napi_undefined;
  uint64_t file = 0;
  uint64_t direct = 0;
  uint64_t position = 0;
  uint32_t count = 0;
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
  if (!get_witness(env, arguments[4], job) || !get_parts(env, arguments[3], job)) {
    hf_job_discard(job);
    return NULL;
  }
  return hf_job_submit(env, &job->job, HF_POOL_FILES, run_append);
}

int hf_define_file_jobs(napi_env env, napi_value exports) {
  static const hf_function functions[] = {{"append", append}};
  return hf_define(env, exports, functions, 1);
}
