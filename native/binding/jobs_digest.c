/* Digest jobs: one job for each piece of a body (engine/digest.h). */
#include <stdlib.h>

#include "../engine/digest.h"
#include "modules.h"
#include "runtime.h"
#include "value.h"

static const napi_type_tag digest_tag = {0x6a3f0d1c9be84c55, 0x8e21b7d4f0a96c13};

typedef struct {
  hf_job job;
  hf_digest_piece piece;
} piece_job;

static void free_digest(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  hf_digest_release(data);
}

static hf_digest *get_digest(napi_env env, napi_value value) {
  bool tagged = false;
  void *digest = NULL;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_object &&
      napi_check_object_type_tag(env, value, &digest_tag, &tagged) == napi_ok && tagged && napi_unwrap(env, value, &digest) == napi_ok) {
    return digest;
  }
  hf_throw_type(env, "digest", "made by digestNew");
  return NULL;
}

/* digestNew(algorithms: number) -> object */
static napi_value digest_new(napi_env env, napi_callback_info info) {
  napi_value argument;
  napi_value object;
  uint64_t algorithms = 0;
  if (!hf_arguments(env, info, 1, &argument) || !hf_get_size(env, argument, "algorithms", HF_DIGEST_ALL, &algorithms)) return NULL;
  HF_NAPI(env, napi_create_object(env, &object));
  HF_NAPI(env, napi_type_tag_object(env, object, &digest_tag));
  hf_digest *digest = hf_digest_new((unsigned)algorithms);
  if (digest == NULL) {
    napi_throw_error(env, "ERR_MEMORY", "no memory, or no OpenSSL, for a digest");
    return NULL;
  }
  if (napi_wrap(env, object, digest, free_digest, NULL, NULL) != napi_ok) {
    hf_throw_last(env);
    hf_digest_release(digest);
    return NULL;
  }
  return object;
}

static void piece_done(hf_digest_piece *piece, int failed) {
  piece_job *job = (piece_job *)((char *)piece - offsetof(piece_job, piece));
  hf_job_done(&job->job, failed ? HF_JOB_CIPHER_FAILED : HF_JOB_OK, 0);
}

/* digestUpdate(id, digest, bytes): pieces of one digest are taken in in the order of the calls */
static napi_value digest_update(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  hf_bytes bytes;
  if (!hf_arguments(env, info, 3, arguments)) return NULL;
  hf_digest *digest = get_digest(env, arguments[1]);
  if (digest == NULL || !hf_get_bytes(env, arguments[2], "bytes", &bytes)) return NULL;
  piece_job *job = hf_job_new_with_id(env, arguments[0], sizeof *job);
  if (job == NULL) return NULL;
  job->piece = (hf_digest_piece){.bytes = bytes.bytes, .length = bytes.length, .done = piece_done};
  hf_job_begin(env, &job->job);
  if (hf_digests_add(hf_runtime_digests(job->job.runtime), digest, &job->piece)) return NULL;
  hf_job_refused(env, &job->job);
  return NULL;
}

/* digestValue(digest, algorithm) -> Buffer: once for each algorithm, when all updates are done */
static napi_value digest_value(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  uint64_t algorithm = 0;
  uint8_t value[HF_DIGEST_BYTES_MAX];
  if (!hf_arguments(env, info, 2, arguments)) return NULL;
  hf_digest *digest = get_digest(env, arguments[0]);
  if (digest == NULL || !hf_get_size(env, arguments[1], "algorithm", HF_DIGEST_ALL, &algorithm)) return NULL;
  if (!hf_digest_idle(digest)) {
    napi_throw_error(env, "ERR_BUSY", "the digest still takes in bytes");
    return NULL;
  }
  size_t length = hf_digest_value(digest, (unsigned)algorithm, value);
  if (length == 0) {
    napi_throw_error(env, "ERR_NO_DIGEST", "this digest does not have that algorithm, or has ended it");
    return NULL;
  }
  return hf_buffer(env, value, length);
}

int hf_define_digest_jobs(napi_env env, napi_value exports) {
  static const hf_function functions[] = {{"digestNew", digest_new}, {"digestUpdate", digest_update}, {"digestValue", digest_value}};
  return hf_define(env, exports, functions, sizeof functions / sizeof *functions);
}
