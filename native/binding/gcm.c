/* Chunks of AES-256-GCM at once, on the calling thread, for tests and benchmarks; the engine's jobs are in jobs_stripe.c. */
#include "../kernels/gcm.h"

#include <string.h>

#include "../engine/chunks.h"
#include "modules.h"
#include "value.h"

#define KEYS_BYTES (HF_GCM_KEY_BYTES + HF_GCM_NONCE_BYTES)

typedef struct {
  hf_stream_keys keys;
  hf_bytes from;
  hf_bytes to;
  uint64_t first_index;
  bool flag;
} chunk_arguments;

/* keys, from, to, firstChunkIndex, flag */
static int get_chunks(napi_env env, napi_callback_info info, chunk_arguments *chunks) {
  napi_value arguments[5];
  hf_bytes keys;
  if (!hf_arguments(env, info, 5, arguments) || !hf_get_bytes_of(env, arguments[0], "keys", KEYS_BYTES, &keys) ||
      !hf_get_bytes(env, arguments[1], "from", &chunks->from) || !hf_get_bytes(env, arguments[2], "to", &chunks->to) ||
      !hf_get_size(env, arguments[3], "firstChunkIndex", HF_CHUNK_INDEX_MAX, &chunks->first_index)) {
    return 0;
  }
  if (napi_get_value_bool(env, arguments[4], &chunks->flag) != napi_ok) {
    hf_throw_type(env, "the last argument", "a boolean");
    return 0;
  }
  if (chunks->first_index + chunks->from.length / HF_CHUNK_PLAINTEXT_BYTES > HF_CHUNK_INDEX_MAX) {
    hf_throw_range(env, "firstChunkIndex", "goes beyond the last chunk of a stream");
    return 0;
  }
  if (hf_overlap(chunks->to.bytes, chunks->to.length, chunks->from.bytes, chunks->from.length)) {
    hf_throw_range(env, "to", "overlaps what it is made from");
    return 0;
  }
  memcpy(chunks->keys.key, keys.bytes, HF_GCM_KEY_BYTES);
  memcpy(chunks->keys.base_nonce, keys.bytes + HF_GCM_KEY_BYTES, HF_GCM_NONCE_BYTES);
  return 1;
}

static napi_value fail(napi_env env) {
  napi_throw_error(env, "ERR_CIPHER", "AES-256-GCM is not to be had or failed");
  return NULL;
}

/* Every chunk with a context of its own: what reusing one saves. */
static int seal_afresh(const chunk_arguments *chunks) {
  size_t count = chunks->from.length / HF_CHUNK_PLAINTEXT_BYTES;
  int sealed = 1;
  for (size_t i = 0; i < count && sealed; i++) {
    hf_gcm *gcm = hf_gcm_new(HF_GCM_SEAL);
    sealed = gcm != NULL && hf_seal_run(gcm, &chunks->keys, chunks->first_index + i, chunks->from.bytes + i * HF_CHUNK_PLAINTEXT_BYTES,
                                        HF_CHUNK_PLAINTEXT_BYTES, 0, chunks->to.bytes + i * HF_CHUNK_SEALED_BYTES);
    hf_gcm_free(gcm);
  }
  return sealed;
}

static napi_value seal_with(napi_env env, const chunk_arguments *chunks, int final, int afresh) {
  if (chunks->to.length != hf_sealed_run_bytes(chunks->from.length, final)) {
    hf_throw_range(env, "to", "must be exactly as long as the sealed chunks");
    return NULL;
  }
  hf_gcm *gcm = afresh ? NULL : hf_gcm_new(HF_GCM_SEAL);
  int sealed = afresh ? seal_afresh(chunks)
                      : gcm != NULL && hf_seal_run(gcm, &chunks->keys, chunks->first_index, chunks->from.bytes, chunks->from.length, final,
                                                   chunks->to.bytes);
  hf_gcm_free(gcm);
  return sealed ? NULL : fail(env);
}

/* sealChunksNow(keys, plaintext, sealed, firstChunkIndex, final) */
static napi_value seal_chunks_now(napi_env env, napi_callback_info info) {
  chunk_arguments chunks;
  if (!get_chunks(env, info, &chunks)) return NULL;
  if (!chunks.flag && chunks.from.length % HF_CHUNK_PLAINTEXT_BYTES != 0) {
    hf_throw_range(env, "from", "must be whole chunks unless they end the stream");
    return NULL;
  }
  return seal_with(env, &chunks, chunks.flag, 0);
}

/* sealWholeChunksNow(keys, plaintext, sealed, firstChunkIndex, reuseContext): for the comparison */
static napi_value seal_whole_chunks_now(napi_env env, napi_callback_info info) {
  chunk_arguments chunks;
  if (!get_chunks(env, info, &chunks)) return NULL;
  if (chunks.from.length % HF_CHUNK_PLAINTEXT_BYTES != 0) {
    hf_throw_range(env, "from", "must be whole chunks");
    return NULL;
  }
  return seal_with(env, &chunks, 0, !chunks.flag);
}

/* openChunksNow(keys, sealed, plaintext, firstChunkIndex, final) -> plaintext bytes, or -1 - i when chunk i failed */
static napi_value open_chunks_now(napi_env env, napi_callback_info info) {
  chunk_arguments chunks;
  napi_value outcome;
  uint64_t count = 0;
  uint64_t plaintext_bytes = 0;
  if (!get_chunks(env, info, &chunks)) return NULL;
  if (hf_opened_run_bytes(chunks.from.length) > chunks.to.length) {
    hf_throw_range(env, "to", "is too small for what is to be opened");
    return NULL;
  }
  hf_gcm *gcm = hf_gcm_new(HF_GCM_OPEN);
  if (gcm == NULL) return fail(env);
  uint64_t opened = hf_open_run(gcm, &chunks.keys, chunks.first_index, chunks.from.bytes, chunks.from.length, chunks.flag,
                                chunks.to.bytes, &count, &plaintext_bytes);
  hf_gcm_free(gcm);
  double value = count > 0 && opened == count ? (double)plaintext_bytes : -1.0 - (double)opened;
  HF_NAPI(env, napi_create_double(env, value, &outcome));
  return outcome;
}

int hf_define_gcm(napi_env env, napi_value exports) {
  static const hf_function functions[] = {
      {"sealChunksNow", seal_chunks_now}, {"sealWholeChunksNow", seal_whole_chunks_now}, {"openChunksNow", open_chunks_now}};
  return hf_define(env, exports, functions, sizeof functions / sizeof *functions);
}
