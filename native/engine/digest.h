/*
 * Digests of bodies that arrive piece by piece. Pieces of one body are taken in order; bodies that have something to do at the same time
 * are advanced together, slice by slice, since MD5 goes many streams at a time (kernels/md5.h), and one that comes later joins at the
 * next slice. Runs on a pool's threads.
 */
#ifndef HF_DIGEST_H
#define HF_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "pool.h"

enum {
  HF_DIGEST_MD5 = 1,
  HF_DIGEST_SHA1 = 2,
  HF_DIGEST_SHA256 = 4,
  HF_DIGEST_CRC32 = 8,
  HF_DIGEST_CRC32C = 16,
  HF_DIGEST_CRC64NVME = 32,
  HF_DIGEST_ALL = 63
};
#define HF_DIGEST_BYTES_MAX 32

/* The state of one body. Counts its users: whoever made it, and every piece that waits. */
typedef struct hf_digest hf_digest;

/* `algorithms` is a sum of the above. NULL without memory, or without an OpenSSL for SHA-1 and SHA-256. */
hf_digest *hf_digest_new(unsigned algorithms);
void hf_digest_release(hf_digest *digest);

/* Whether no piece waits or is being taken in. */
int hf_digest_idle(const hf_digest *digest);

/* The value of one of its algorithms over everything so far, big-endian for CRCs; returns its length, 0 for one it does not have. Ends
 * the digest of that algorithm. Only while idle. */
size_t hf_digest_value(hf_digest *digest, unsigned algorithm, uint8_t value[HF_DIGEST_BYTES_MAX]);

typedef struct hf_digest_piece {
  struct hf_digest_piece *next;
  const uint8_t *bytes;
  size_t length;
  /* From a pool's thread: the bytes have been taken in. `failed` when OpenSSL could not. */
  void (*done)(struct hf_digest_piece *piece, int failed);
} hf_digest_piece;

typedef struct hf_digests hf_digests;

hf_digests *hf_digests_new(hf_pool *pool);
/* The pool must have been closed. */
void hf_digests_free(hf_digests *digests);

/* Returns 0 when no thread can be had; the piece is then not queued. */
int hf_digests_add(hf_digests *digests, hf_digest *digest, hf_digest_piece *piece);

#endif
