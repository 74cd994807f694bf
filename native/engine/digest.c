#include "digest.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../kernels/crc.h"
#include "../kernels/md5.h"
#include "../kernels/openssl.h"

/* Small enough that all lanes stay in the second-level cache, and that a body that comes later soon joins. */
#define SLICE_BYTES (32 * 1024)
/* After this many slices a runner lets other work of the pool go first. */
#define SLICES_PER_TURN 32
/* Bodies one thread advances together before another thread helps. */
#define BODIES_PER_RUNNER 8

struct hf_digest {
  unsigned algorithms;
  int users; /* guarded by the digests' mutex once queued */
  int failed;
  int queued; /* waits for a runner, or is with one */
  hf_md5 md5;
  uint32_t crc32;
  uint32_t crc32c;
  uint64_t crc64nvme;
  EVP_MD_CTX *sha1;
  EVP_MD_CTX *sha256;
  hf_digest_piece *first;
  hf_digest_piece **last;
  hf_digest *next_ready;
};

struct hf_digests {
  pthread_mutex_t mutex;
  hf_pool *pool;
  hf_digest *ready;
  hf_digest **last_ready;
  size_t ready_count;
  size_t runners;
};

typedef struct {
  hf_task task;
  hf_digests *digests;
} runner;

static EVP_MD_CTX *new_sha(const hf_openssl *ssl, const EVP_MD *algorithm) {
  EVP_MD_CTX *context = ssl->md_ctx_new();
  if (context == NULL) return NULL;
  if (ssl->digest_init(context, algorithm, NULL) == 1) return context;
  ssl->md_ctx_free(context);
  return NULL;
}

hf_digest *hf_digest_new(unsigned algorithms) {
  hf_digest *digest = calloc(1, sizeof *digest);
  if (digest == NULL) return NULL;
  const hf_openssl *ssl = hf_openssl_find();
  digest->algorithms = algorithms;
  digest->users = 1;
  digest->last = &digest->first;
  hf_md5_init(&digest->md5);
  if (ssl != NULL && algorithms & HF_DIGEST_SHA1) digest->sha1 = new_sha(ssl, ssl->sha1());
  if (ssl != NULL && algorithms & HF_DIGEST_SHA256) digest->sha256 = new_sha(ssl, ssl->sha256());
  int lacks = (algorithms & HF_DIGEST_SHA1 && digest->sha1 == NULL) || (algorithms & HF_DIGEST_SHA256 && digest->sha256 == NULL);
  if (!lacks) return digest;
  hf_digest_release(digest);
  return NULL;
}

/* Users are counted atomically: the maker lets go on the thread of JavaScript, pieces on the pool's. */
void hf_digest_release(hf_digest *digest) {
  if (__atomic_sub_fetch(&digest->users, 1, __ATOMIC_ACQ_REL) > 0) return;
  if (digest->sha1 != NULL) hf_openssl_find()->md_ctx_free(digest->sha1);
  if (digest->sha256 != NULL) hf_openssl_find()->md_ctx_free(digest->sha256);
  free(digest);
}

int hf_digest_idle(const hf_digest *digest) {
  return __atomic_load_n(&digest->users, __ATOMIC_ACQUIRE) == 1;
}

static void put_big_endian(uint8_t *value, uint64_t number, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) value[i] = (uint8_t)(number >> (8 * (bytes - 1 - i)));
}

static size_t end_sha(EVP_MD_CTX *context, uint8_t *value) {
  unsigned length = 0;
  return context != NULL && hf_openssl_find()->digest_final(context, value, &length) == 1 ? length : 0;
}

size_t hf_digest_value(hf_digest *digest, unsigned algorithm, uint8_t value[HF_DIGEST_BYTES_MAX]) {
  int is_one = algorithm != 0 && (algorithm & (algorithm - 1)) == 0;
  if (!is_one || (digest->algorithms & algorithm) == 0 || digest->failed) return 0;
  digest->algorithms &= ~algorithm;
  switch (algorithm) {
    case HF_DIGEST_MD5:
      hf_md5_final(&digest->md5, value);
      return HF_MD5_BYTES;
    case HF_DIGEST_SHA1:
      return end_sha(digest->sha1, value);
    case HF_DIGEST_SHA256:
      return end_sha(digest->sha256, value);
    case HF_DIGEST_CRC32:
      put_big_endian(value, digest->crc32, 4);
      return 4;
    case HF_DIGEST_CRC32C:
      put_big_endian(value, digest->crc32c, 4);
      return 4;
    case HF_DIGEST_CRC64NVME:
      put_big_endian(value, digest->crc64nvme, 8);
      return 8;
    default:
      return 0;
  }
}

hf_digests *hf_digests_new(hf_pool *pool) {
  hf_digests *digests = calloc(1, sizeof *digests);
  if (digests == NULL) return NULL;
  pthread_mutex_init(&digests->mutex, NULL);
  digests->pool = pool;
  digests->last_ready = &digests->ready;
  return digests;
}

void hf_digests_free(hf_digests *digests) {
  pthread_mutex_destroy(&digests->mutex);
  free(digests);
}

/* The mutex is held. */
static void push_ready(hf_digests *digests, hf_digest *digest) {
  digest->next_ready = NULL;
  *digests->last_ready = digest;
  digests->last_ready = &digest->next_ready;
  digests->ready_count++;
}

static size_t take_ready(hf_digests *digests, hf_digest **taken) {
  size_t count = 0;
  while (count < HF_MD5_LANES_MAX && digests->ready != NULL) {
    taken[count++] = digests->ready;
    digests->ready = digests->ready->next_ready;
    digests->ready_count--;
  }
  if (digests->ready == NULL) digests->last_ready = &digests->ready;
  return count;
}

static void update_sha(hf_digest *digest, EVP_MD_CTX *context, const uint8_t *bytes, size_t length) {
  if (context != NULL && hf_openssl_find()->digest_update(context, bytes, length) != 1) digest->failed = 1;
}

static void take_in(hf_digest *const *digests, const uint8_t *const *bytes, const size_t *lengths, size_t count) {
  hf_md5 *streams[HF_MD5_LANES_MAX];
  const uint8_t *stream_bytes[HF_MD5_LANES_MAX];
  size_t stream_lengths[HF_MD5_LANES_MAX];
  size_t stream_count = 0;
  for (size_t i = 0; i < count; i++) {
    hf_digest *digest = digests[i];
    if (digest->algorithms & HF_DIGEST_CRC32) digest->crc32 = hf_crc32(digest->crc32, bytes[i], lengths[i]);
    if (digest->algorithms & HF_DIGEST_CRC32C) digest->crc32c = hf_crc32c(digest->crc32c, bytes[i], lengths[i]);
    if (digest->algorithms & HF_DIGEST_CRC64NVME) digest->crc64nvme = hf_crc64nvme(digest->crc64nvme, bytes[i], lengths[i]);
    update_sha(digest, digest->sha1, bytes[i], lengths[i]);
    update_sha(digest, digest->sha256, bytes[i], lengths[i]);
    if ((digest->algorithms & HF_DIGEST_MD5) == 0) continue;
    streams[stream_count] = &digest->md5;
    stream_bytes[stream_count] = bytes[i];
    stream_lengths[stream_count++] = lengths[i];
  }
  hf_md5_update_many(streams, stream_bytes, stream_lengths, stream_count);
}

/* One slice of each. Nobody else touches a digest that was taken; new pieces are only put behind its first one. */
static void advance(hf_digests *set, hf_digest **taken, size_t count) {
  const uint8_t *bytes[HF_MD5_LANES_MAX];
  size_t lengths[HF_MD5_LANES_MAX];
  hf_digest_piece *finished[HF_MD5_LANES_MAX];
  int failed[HF_MD5_LANES_MAX];
  for (size_t i = 0; i < count; i++) {
    hf_digest_piece *piece = taken[i]->first;
    bytes[i] = piece->bytes;
    lengths[i] = piece->length < SLICE_BYTES ? piece->length : SLICE_BYTES;
  }
  take_in(taken, bytes, lengths, count);
  pthread_mutex_lock(&set->mutex);
  for (size_t i = 0; i < count; i++) {
    hf_digest *digest = taken[i];
    hf_digest_piece *piece = digest->first;
    piece->bytes += lengths[i];
    piece->length -= lengths[i];
    finished[i] = NULL;
    failed[i] = digest->failed; /* another thread may have the digest once the mutex is free */
    if (piece->length == 0) {
      finished[i] = piece;
      digest->first = piece->next;
      if (digest->first == NULL) digest->last = &digest->first;
    }
    if (digest->first != NULL) push_ready(set, digest);
    else digest->queued = 0;
  }
  pthread_mutex_unlock(&set->mutex);
  for (size_t i = 0; i < count; i++) {
    if (finished[i] == NULL) continue;
    hf_digest_release(taken[i]);
    finished[i]->done(finished[i], failed[i]);
  }
}

static void run(hf_task *task, hf_worker *worker) {
  (void)worker;
  runner *self = (runner *)task;
  hf_digests *digests = self->digests;
  for (int slice = 1;; slice++) {
    hf_digest *taken[HF_MD5_LANES_MAX];
    pthread_mutex_lock(&digests->mutex);
    size_t count = take_ready(digests, taken);
    if (count == 0) digests->runners--;
    pthread_mutex_unlock(&digests->mutex);
    if (count == 0) break;
    advance(digests, taken, count);
    int gives_way = slice % SLICES_PER_TURN == 0 && hf_pool_busy(digests->pool);
    if (gives_way && hf_pool_submit(digests->pool, task)) return;
  }
  free(self);
}

/* The mutex is held. */
static int start_runner(hf_digests *digests) {
  runner *started = calloc(1, sizeof *started);
  if (started == NULL) return 0;
  started->task.run = run;
  started->digests = digests;
  if (hf_pool_submit(digests->pool, &started->task)) {
    digests->runners++;
    return 1;
  }
  free(started);
  return 0;
}

int hf_digests_add(hf_digests *digests, hf_digest *digest, hf_digest_piece *piece) {
  int accepted = 1;
  pthread_mutex_lock(&digests->mutex);
  if (digests->runners == 0 || digests->ready_count >= BODIES_PER_RUNNER * digests->runners) {
    accepted = start_runner(digests) || digests->runners > 0;
  }
  if (accepted) {
    __atomic_add_fetch(&digest->users, 1, __ATOMIC_ACQ_REL);
    piece->next = NULL;
    *digest->last = piece;
    digest->last = &piece->next;
    if (!digest->queued) {
      digest->queued = 1;
      push_ready(digests, digest);
    }
  }
  pthread_mutex_unlock(&digests->mutex);
  return accepted;
}
