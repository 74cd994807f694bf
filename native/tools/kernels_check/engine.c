#include <pthread.h>
#include <string.h>

#include "../../engine/columns.h"
#include "../../engine/digest.h"
#include "../../engine/pool.h"
#include "../../engine/stripe.h"
#include "../../kernels/crc.h"
#include "../../kernels/md5.h"
#include "trial.h"

#define SHARDS_MAX 12
#define FRAGMENT_BYTES_MAX 100000
#define DIGESTS_MAX 20
#define PIECES_MAX 6
#define THREADS 3

/* All of a stripe at once: parity by one matrix over whole shards, every hash by itself. */
static void naive(trial *trial, uint8_t *fragments, size_t k, size_t m, size_t bytes, uint8_t *roots) {
  uint8_t coefficients[SHARDS_MAX * SHARDS_MAX], *shards[SHARDS_MAX];
  hf_blake3_params hash;
  for (size_t i = 0; i < k + m; i++) shards[i] = fragments + i * bytes;
  if (m > 0) {
    trial_expect(trial, hf_gf256_parity_coefficients(k, m, coefficients), "a geometry was refused");
    hf_gf256_matrix *matrix = hf_gf256_matrix_new(coefficients, m, k);
    hf_gf256_combine(matrix, (const uint8_t *const *)shards, shards + k, bytes);
    hf_gf256_matrix_free(matrix);
  }
  hf_blake3_params_init(&hash, HF_BLAKE3_HASH, NULL);
  for (size_t i = 0; i < k + m; i++) hf_blake3(&hash, shards[i], bytes, roots + i * HF_BLAKE3_BYTES, HF_BLAKE3_BYTES);
}

/* Column by column, the data becoming ready in steps of any length, is the same as all at once. */
static void columns(trial *trial) {
  size_t count = 1 + trial_below(trial, SHARDS_MAX), k = 1 + trial_below(trial, count), m = count - k;
  size_t bytes = trial_length(trial, FRAGMENT_BYTES_MAX), payload = trial_below(trial, k * bytes + 1);
  uint8_t *stripe = trial_area(trial, count * bytes), *roots = trial_area(trial, count * HF_BLAKE3_BYTES);
  uint8_t *encoded = trial_copy(trial, stripe, count * bytes), *encoded_roots = trial_area(trial, count * HF_BLAKE3_BYTES);
  if (k * bytes > payload) memset(stripe + payload, 0, k * bytes - payload);
  uint8_t *plain = trial_copy(trial, stripe, count * bytes), *plain_roots = trial_area(trial, count * HF_BLAKE3_BYTES);
  naive(trial, plain, k, m, bytes, plain_roots);
  hf_columns all;
  trial_expect(trial, hf_columns_begin(&all, stripe, k, m, bytes), "columns were refused");
  for (size_t ready = 0; ready < bytes; ready += 1 + trial_below(trial, 40000)) hf_columns_advance(&all, ready);
  hf_columns_finish(&all, roots);
  hf_columns_end(&all);
  const hf_stripe whole = {k, m, bytes, encoded};
  trial_expect(trial, hf_encode_stripe(&whole, payload, encoded_roots) == HF_STRIPE_OK, "a stripe was not encoded");
  trial_expect(trial, count * bytes == 0 || memcmp(stripe, plain, count * bytes) == 0, "columns code otherwise");
  trial_expect(trial, count * bytes == 0 || memcmp(encoded, plain, count * bytes) == 0, "a stripe is coded otherwise");
  trial_expect(trial, memcmp(roots, plain_roots, count * HF_BLAKE3_BYTES) == 0, "columns hash otherwise");
  trial_expect(trial, memcmp(encoded_roots, plain_roots, count * HF_BLAKE3_BYTES) == 0, "a stripe is hashed otherwise");
  trial_expect(trial, hf_seal_stripe(NULL, &whole, NULL, 0, roots) == HF_STRIPE_CIPHER_FAILED, "sealed without a cipher");
  trial_note(trial, roots, count * HF_BLAKE3_BYTES);
}

static void reconstruct(trial *trial) {
  size_t k = 1 + trial_below(trial, 6), m = 1 + trial_below(trial, 6), bytes = trial_length(trial, FRAGMENT_BYTES_MAX);
  uint8_t *stripe = trial_area(trial, (k + m) * bytes), roots[SHARDS_MAX * HF_BLAKE3_BYTES];
  naive(trial, stripe, k, m, bytes, roots);
  hf_reconstruction job = {.k = k, .m = m, .length = bytes, .wanted_count = trial_below(trial, m + 1)};
  for (size_t i = 0; i < k; i++) {
    job.source_indices[i] = (uint8_t)(m + i);
    job.sources[i] = trial_copy(trial, stripe + (m + i) * bytes, bytes);
  }
  for (size_t i = 0; i < job.wanted_count; i++) {
    job.wanted_indices[i] = (uint8_t)i;
    job.wanted[i] = trial_area(trial, bytes);
  }
  uint8_t *rebuilt_roots = trial_area(trial, job.wanted_count * HF_BLAKE3_BYTES);
  trial_expect(trial, hf_reconstruct(&job, rebuilt_roots) == HF_STRIPE_OK, "not reconstructed");
  trial_expect(trial, job.wanted_count == 0 || memcmp(rebuilt_roots, roots, job.wanted_count * HF_BLAKE3_BYTES) == 0, "a fragment is another");
  if (k > 1 && job.wanted_count > 0) {
    job.source_indices[1] = job.source_indices[0];
    trial_expect(trial, hf_reconstruct(&job, rebuilt_roots) == HF_STRIPE_BAD_GEOMETRY, "one source was taken for two");
  }
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t done_count;

static void one_done(void) {
  pthread_mutex_lock(&mutex);
  done_count++;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&mutex);
}

static void wait_for(size_t count) {
  pthread_mutex_lock(&mutex);
  while (done_count < count) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
}

static void piece_done(hf_digest_piece *piece, int failed) {
  (void)piece, (void)failed;
  one_done();
}

/* Bodies that come in pieces, several at a time. The SHAs need node's OpenSSL and are not part of it. */
static void digests(trial *trial) {
  hf_pool *pool = hf_pool_new("check", THREADS);
  hf_digests *set = hf_digests_new(pool);
  hf_digest *digests[DIGESTS_MAX];
  hf_digest_piece pieces[DIGESTS_MAX][PIECES_MAX];
  const uint8_t *bodies[DIGESTS_MAX];
  size_t lengths[DIGESTS_MAX], count = 1 + trial_below(trial, DIGESTS_MAX);
  const unsigned algorithms = HF_DIGEST_MD5 | HF_DIGEST_CRC32C | HF_DIGEST_CRC64NVME;
  done_count = 0;
  for (size_t i = 0; i < count; i++) {
    digests[i] = hf_digest_new(algorithms);
    lengths[i] = trial_length(trial, 200000);
    bodies[i] = trial_area(trial, lengths[i]);
    size_t at = 0;
    for (size_t j = 0; j < PIECES_MAX; j++) {
      size_t length = j == PIECES_MAX - 1 ? lengths[i] - at : trial_below(trial, lengths[i] - at + 1);
      pieces[i][j] = (hf_digest_piece){.bytes = trial_copy(trial, bodies[i] + at, length), .length = length, .done = piece_done};
      at += length;
      trial_expect(trial, hf_digests_add(set, digests[i], &pieces[i][j]), "a piece was refused");
    }
  }
  wait_for(count * PIECES_MAX);
  for (size_t i = 0; i < count; i++) {
    uint8_t value[HF_DIGEST_BYTES_MAX], md5[HF_MD5_BYTES];
    hf_md5 state;
    hf_md5_init(&state);
    hf_md5_update(&state, bodies[i], lengths[i]);
    hf_md5_final(&state, md5);
    uint32_t crc = hf_crc32c(0, bodies[i], lengths[i]);
    const uint8_t crc_bytes[] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc};
    trial_expect(trial, hf_digest_idle(digests[i]), "a digest is not idle");
    trial_expect(trial, hf_digest_value(digests[i], HF_DIGEST_MD5, value) == HF_MD5_BYTES && memcmp(value, md5, HF_MD5_BYTES) == 0, "another MD5");
    trial_expect(trial, hf_digest_value(digests[i], HF_DIGEST_CRC32C, value) == 4 && memcmp(value, crc_bytes, 4) == 0, "another CRC-32C");
    trial_expect(trial, hf_digest_value(digests[i], HF_DIGEST_CRC32C, value) == 0, "a digest ended twice");
    trial_expect(trial, hf_digest_value(digests[i], HF_DIGEST_CRC32, value) == 0, "a value that nobody asked for");
    trial_note(trial, md5, sizeof md5);
    if (i % 2 == 0) hf_digest_release(digests[i]);
  }
  hf_pool_close(pool);
  hf_digests_free(set);
  for (size_t i = 1; i < count; i += 2) hf_digest_release(digests[i]);
}

static void count_task(hf_task *task, hf_worker *worker) {
  (void)task, (void)worker;
  one_done();
}

/* Closing runs what was submitted. */
static void pool(trial *trial) {
  hf_pool *pool = hf_pool_new("check", 1 + trial_below(trial, THREADS));
  hf_task tasks[200];
  size_t count = trial_below(trial, 201);
  done_count = 0;
  for (size_t i = 0; i < count; i++) {
    tasks[i].run = count_task;
    trial_expect(trial, hf_pool_submit(pool, &tasks[i]), "a task was refused");
  }
  hf_pool_close(pool);
  trial_expect(trial, done_count == count, "a task was not run");
}

const check engine_checks[] = {{"columns", columns, 120},
                               {"reconstruction", reconstruct, 60},
                               {"digests", digests, 25},
                               {"pool", pool, 40},
                               {NULL, NULL, 0}};
