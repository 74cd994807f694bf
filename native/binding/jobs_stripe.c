/* Stripe jobs. Everything a job touches is checked here, before a thread sees it. */
#include <string.h>

#include "../engine/stripe.h"
#include "../kernels/blake3.h"
#include "../kernels/gf256.h"
#include "../kernels/wipe.h"
#include "modules.h"
#include "runtime.h"
#include "value.h"

/* The packed form of a run (src/stripes/engine/native.ts): key, base nonce, then little-endian numbers of four bytes. */
#define RUN_BYTES 64
#define RUN_FINAL_AT 44
#define RUN_OFFSET_AT 48
#define RUN_LENGTH_AT 52
#define RUN_INDEX_LOW_AT 56
#define RUN_INDEX_HIGH_AT 60
#define RUNS_MAX 4096
#define SHARD_BYTES_MAX (UINT64_C(1) << 30)

static int32_t job_code(hf_stripe_status status) {
  switch (status) {
    case HF_STRIPE_OK:
      return HF_JOB_OK;
    case HF_STRIPE_NO_MEMORY:
      return HF_JOB_NO_MEMORY;
    case HF_STRIPE_CIPHER_FAILED:
      return HF_JOB_CIPHER_FAILED;
    default:
      return HF_JOB_BAD_GEOMETRY;
  }
}

static uint32_t number_at(const uint8_t *bytes, size_t at) {
  return (uint32_t)bytes[at] | (uint32_t)bytes[at + 1] << 8 | (uint32_t)bytes[at + 2] << 16 | (uint32_t)bytes[at + 3] << 24;
}

/* Reads k, m and the fragment length, and checks that k + m fragments fit `fragments` and their roots `roots`. */
static int get_stripe(napi_env env, const napi_value *geometry, hf_bytes fragments, hf_bytes roots, hf_stripe *stripe) {
  uint64_t k = 0;
  uint64_t m = 0;
  uint64_t fragment_bytes = 0;
  if (!hf_get_size(env, geometry[0], "k", HF_SHARDS_MAX, &k) || !hf_get_size(env, geometry[1], "m", HF_SHARDS_MAX, &m) ||
      !hf_get_size(env, geometry[2], "fragmentLengthBytes", SHARD_BYTES_MAX, &fragment_bytes)) {
    return 0;
  }
  if (k == 0 || k + m > HF_SHARDS_MAX) {
    hf_throw_range(env, "k + m", "is not a geometry of codec 1");
    return 0;
  }
  if ((k + m) * fragment_bytes > fragments.length) {
    hf_throw_range(env, "fragments", "is too small for k + m fragments");
    return 0;
  }
  if (roots.length != (k + m) * HF_BLAKE3_BYTES) {
    hf_throw_range(env, "roots", "must have 32 bytes for each fragment");
    return 0;
  }
  if (!hf_is_apart(env, "roots", roots, fragments)) return 0;
  *stripe = (hf_stripe){(size_t)k, (size_t)m, (size_t)fragment_bytes, fragments.bytes};
  return 1;
}

typedef struct {
  hf_job job;
  hf_stripe stripe;
  uint8_t *roots;
  size_t payload_bytes;
  size_t run_count;
  hf_run runs[];
} stripe_job;

static void run_seal(hf_task *task, hf_worker *worker) {
  stripe_job *job = (stripe_job *)task;
  hf_stripe_status status = hf_seal_stripe(worker->sealer, &job->stripe, job->runs, job->run_count, job->roots);
  hf_wipe(job->runs, job->run_count * sizeof *job->runs);
  hf_job_done(&job->job, job_code(status), (double)job->payload_bytes);
}

static void run_encode(hf_task *task, hf_worker *worker) {
  (void)worker;
  stripe_job *job = (stripe_job *)task;
  hf_job_done(&job->job, job_code(hf_encode_stripe(&job->stripe, job->payload_bytes, job->roots)), 0);
}

/* Unpacks the runs and sums up their sealed bytes; throws when one lies outside the plaintext. */
static int unpack_runs(napi_env env, hf_bytes packed, hf_bytes plaintext, stripe_job *job) {
  for (size_t i = 0; i < job->run_count; i++) {
    const uint8_t *run = packed.bytes + i * RUN_BYTES;
    uint64_t offset = number_at(run, RUN_OFFSET_AT);
    uint64_t length = number_at(run, RUN_LENGTH_AT);
    int final = number_at(run, RUN_FINAL_AT) != 0;
    uint64_t first_index = number_at(run, RUN_INDEX_LOW_AT) | (uint64_t)number_at(run, RUN_INDEX_HIGH_AT) << 32;
    if (offset + length > plaintext.length) {
      hf_throw_range(env, "a run", "lies outside the plaintext");
      return 0;
    }
    if (!final && length % HF_CHUNK_PLAINTEXT_BYTES != 0) {
      hf_throw_range(env, "a run", "that does not end its stream must be whole chunks");
      return 0;
    }
    if (first_index > HF_CHUNK_INDEX_MAX - length / HF_CHUNK_PLAINTEXT_BYTES) {
      hf_throw_range(env, "a run", "goes beyond the last chunk of a stream");
      return 0;
    }
    memcpy(job->runs[i].keys.key, run, HF_GCM_KEY_BYTES);
    memcpy(job->runs[i].keys.base_nonce, run + HF_GCM_KEY_BYTES, HF_GCM_NONCE_BYTES);
    job->runs[i].plaintext = plaintext.bytes + offset;
    job->runs[i].length = (size_t)length;
    job->runs[i].first_index = first_index;
    job->runs[i].final = final;
    job->payload_bytes += (size_t)hf_sealed_run_bytes(length, final);
  }
  return 1;
}

/* seal(id, plaintext, fragments, runs, k, m, fragmentLengthBytes, roots) -> value: sealed bytes */
static napi_value seal(napi_env env, napi_callback_info info) {
  napi_value arguments[8];
  hf_bytes plaintext, fragments, runs, roots;
  hf_stripe stripe;
  if (!hf_arguments(env, info, 8, arguments) || !hf_get_bytes(env, arguments[1], "plaintext", &plaintext) ||
      !hf_get_bytes(env, arguments[2], "fragments", &fragments) || !hf_get_bytes(env, arguments[3], "runs", &runs) ||
      !hf_get_bytes(env, arguments[7], "roots", &roots) || !get_stripe(env, &arguments[4], fragments, roots, &stripe)) {
    return NULL;
  }
  if (!hf_is_apart(env, "fragments", fragments, plaintext) || !hf_is_apart(env, "roots", roots, plaintext)) return NULL;
  if (runs.length % RUN_BYTES != 0 || runs.length / RUN_BYTES > RUNS_MAX) {
    hf_throw_range(env, "runs", "must have 64 bytes for each of at most 4,096 runs");
    return NULL;
  }
  size_t run_count = runs.length / RUN_BYTES;
  stripe_job *job = hf_job_new(env, arguments[0], sizeof *job + run_count * sizeof *job->runs);
  if (job == NULL) return NULL;
  job->stripe = stripe;
  job->roots = roots.bytes;
  job->run_count = run_count;
  if (!unpack_runs(env, runs, plaintext, job)) {
    hf_job_discard(job);
    return NULL;
  }
  if (job->payload_bytes > stripe.k * stripe.fragment_bytes) {
    hf_throw_range(env, "runs", "are more than the data fragments hold");
    hf_job_discard(job);
    return NULL;
  }
  return hf_job_submit(env, &job->job, HF_POOL_COMPUTE, run_seal);
}

/* encode(id, fragments, payloadLengthBytes, k, m, fragmentLengthBytes, roots) */
static napi_value encode(napi_env env, napi_callback_info info) {
  napi_value arguments[7];
  hf_bytes fragments, roots;
  hf_stripe stripe;
  uint64_t payload_bytes = 0;
  if (!hf_arguments(env, info, 7, arguments) || !hf_get_bytes(env, arguments[1], "fragments", &fragments) ||
      !hf_get_bytes(env, arguments[6], "roots", &roots) || !get_stripe(env, &arguments[3], fragments, roots, &stripe) ||
      !hf_get_size(env, arguments[2], "payloadLengthBytes", stripe.k * stripe.fragment_bytes, &payload_bytes)) {
    return NULL;
  }
  stripe_job *job = hf_job_new(env, arguments[0], sizeof *job);
  if (job == NULL) return NULL;
  job->stripe = stripe;
  job->roots = roots.bytes;
  job->payload_bytes = (size_t)payload_bytes;
  return hf_job_submit(env, &job->job, HF_POOL_COMPUTE, run_encode);
}

typedef struct {
  hf_job job;
  hf_reconstruction work;
  uint8_t *roots;
} reconstruct_job;

static void run_reconstruct(hf_task *task, hf_worker *worker) {
  (void)worker;
  reconstruct_job *job = (reconstruct_job *)task;
  hf_job_done(&job->job, job_code(hf_reconstruct(&job->work, job->roots)), 0);
}

/* Looks for the memory of views and copies their indices; throws when they are not one for one. */
static int get_shards(napi_env env, napi_value indices_value, const napi_value *entries, size_t count, const char *what, uint8_t *indices,
                      hf_bytes *views) {
  hf_bytes given;
  if (!hf_get_bytes(env, indices_value, what, &given) || !hf_get_bytes_each(env, entries, count, what, views)) return 0;
  if (given.length != count) {
    hf_throw_range(env, what, "must have one index for each view");
    return 0;
  }
  if (count > 0) memcpy(indices, given.bytes, count);
  return 1;
}

/* reconstruct(id, k, m, sourceIndices, sources, wantedIndices, wanted, roots) */
static napi_value reconstruct(napi_env env, napi_callback_info info) {
  napi_value arguments[8];
  napi_value source_entries[HF_SHARDS_MAX], wanted_entries[HF_SHARDS_MAX];
  hf_bytes sources[HF_SHARDS_MAX], wanted[HF_SHARDS_MAX], roots;
  hf_reconstruction work = {0};
  uint64_t k = 0;
  uint64_t m = 0;
  size_t source_count = 0;
  if (!hf_arguments(env, info, 8, arguments) || !hf_get_size(env, arguments[1], "k", HF_SHARDS_MAX, &k) ||
      !hf_get_size(env, arguments[2], "m", HF_SHARDS_MAX, &m) ||
      !hf_get_entries(env, arguments[4], "sources", HF_SHARDS_MAX, source_entries, &source_count) ||
      !hf_get_entries(env, arguments[6], "wanted", HF_SHARDS_MAX, wanted_entries, &work.wanted_count) ||
      !get_shards(env, arguments[3], source_entries, source_count, "sources", work.source_indices, sources) ||
      !get_shards(env, arguments[5], wanted_entries, work.wanted_count, "wanted", work.wanted_indices, wanted) ||
      !hf_get_bytes_of(env, arguments[7], "roots", work.wanted_count * HF_BLAKE3_BYTES, &roots)) {
    return NULL;
  }
  if (k == 0 || k + m > HF_SHARDS_MAX || source_count != k) {
    hf_throw_range(env, "sources", "must be k of a geometry of codec 1");
    return NULL;
  }
  work.k = (size_t)k;
  work.m = (size_t)m;
  work.length = sources[0].length;
  for (size_t i = 0; i < source_count; i++) {
    work.sources[i] = sources[i].bytes;
    if (sources[i].length != work.length) {
      hf_throw_range(env, "sources", "must be of one length");
      return NULL;
    }
  }
  for (size_t i = 0; i < work.wanted_count; i++) {
    work.wanted[i] = wanted[i].bytes;
    int bad = wanted[i].length != work.length;
    for (size_t j = 0; j < source_count && !bad; j++) bad = hf_overlap(wanted[i].bytes, work.length, sources[j].bytes, work.length);
    for (size_t j = 0; j < i && !bad; j++) bad = hf_overlap(wanted[i].bytes, work.length, wanted[j].bytes, work.length);
    if (bad) {
      hf_throw_range(env, "wanted", "must be as long as the sources and overlap nothing");
      return NULL;
    }
    if (!hf_is_apart(env, "roots", roots, wanted[i])) return NULL;
  }
  reconstruct_job *job = hf_job_new(env, arguments[0], sizeof *job);
  if (job == NULL) return NULL;
  job->work = work;
  job->roots = roots.bytes;
  return hf_job_submit(env, &job->job, HF_POOL_COMPUTE, run_reconstruct);
}

typedef struct {
  hf_job job;
  uint8_t *roots;
  size_t count;
  struct {
    const uint8_t *bytes;
    size_t length;
  } views[];
} hash_job;

static void run_hash(hf_task *task, hf_worker *worker) {
  (void)worker;
  hash_job *job = (hash_job *)task;
  hf_blake3_params hash;
  hf_blake3_params_init(&hash, HF_BLAKE3_HASH, NULL);
  for (size_t i = 0; i < job->count; i++) {
    hf_blake3(&hash, job->views[i].bytes, job->views[i].length, job->roots + i * HF_BLAKE3_BYTES, HF_BLAKE3_BYTES);
  }
  hf_job_done(&job->job, HF_JOB_OK, 0);
}

/* hashAll(id, views, roots) */
static napi_value hash_all(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  hf_bytes views[HF_SHARDS_MAX], roots;
  size_t count = 0;
  if (!hf_arguments(env, info, 3, arguments) || !hf_get_bytes_list(env, arguments[1], "views", HF_SHARDS_MAX, views, &count) ||
      !hf_get_bytes_of(env, arguments[2], "roots", count * HF_BLAKE3_BYTES, &roots)) {
    return NULL;
  }
  for (size_t i = 0; i < count; i++) {
    if (!hf_is_apart(env, "roots", roots, views[i])) return NULL;
  }
  hash_job *job = hf_job_new(env, arguments[0], sizeof *job + count * sizeof *job->views);
  if (job == NULL) return NULL;
  job->roots = roots.bytes;
  job->count = count;
  for (size_t i = 0; i < count; i++) {
    job->views[i].bytes = views[i].bytes;
    job->views[i].length = views[i].length;
  }
  return hf_job_submit(env, &job->job, HF_POOL_COMPUTE, run_hash);
}

/* canSeal() -> boolean: whether the process has an OpenSSL to use */
static napi_value can_seal(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value answer;
  HF_NAPI(env, napi_get_boolean(env, hf_gcm_available() != 0, &answer));
  return answer;
}

int hf_define_stripe_jobs(napi_env env, napi_value exports) {
  static const hf_function functions[] = {
      {"canSeal", can_seal}, {"seal", seal}, {"encode", encode}, {"reconstruct", reconstruct}, {"hashAll", hash_all},
  };
  return hf_define(env, exports, functions, sizeof functions / sizeof *functions);
}
