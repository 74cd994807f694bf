/*
 * Chunks of C2SP chunked-encryption (src/crypto/chunked.ts is the specification): 16,384 bytes of plaintext sealed to 16,400, the last
 * of a stream shorter, the nonce of chunk i being the base nonce XOR i.
 */
#ifndef HF_CHUNKS_H
#define HF_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#include "../kernels/gcm.h"

#define HF_CHUNK_PLAINTEXT_BYTES 16384
#define HF_CHUNK_SEALED_BYTES (HF_CHUNK_PLAINTEXT_BYTES + HF_GCM_TAG_BYTES)
#define HF_CHUNK_INDEX_MAX ((UINT64_C(1) << 38) - 1)

typedef struct {
  uint8_t key[HF_GCM_KEY_BYTES];
  uint8_t base_nonce[HF_GCM_NONCE_BYTES];
} hf_stream_keys;

/* Sealed bytes of a run of `length` plaintext bytes; when `final`, the stream's short last chunk, possibly empty, is part of it. */
uint64_t hf_sealed_run_bytes(uint64_t length, int final);

/* Plaintext bytes that a run of `length` sealed bytes opens to, at most. */
uint64_t hf_opened_run_bytes(uint64_t length);

/* One chunk, of at most 16,384 bytes. The key must have been set. Returns 0 on failure. */
int hf_seal_chunk(hf_gcm *gcm, const hf_stream_keys *keys, uint64_t index, const uint8_t *plaintext, size_t length, uint8_t *sealed);

/* Consecutive chunks from `first_index`. Returns 0 on failure. */
int hf_seal_run(hf_gcm *gcm, const hf_stream_keys *keys, uint64_t first_index, const uint8_t *plaintext, size_t length, int final,
                uint8_t *sealed);

/*
 * Opens consecutive chunks whose last one ends the stream when `final`. Returns how many opened; fewer than `*chunks` when that one
 * failed its tag. `*chunks` receives how many there are, `*plaintext_bytes` the length of those that opened. 0 chunks: an impossible
 * length.
 */
uint64_t hf_open_run(hf_gcm *gcm, const hf_stream_keys *keys, uint64_t first_index, const uint8_t *sealed, size_t length, int final,
                     uint8_t *plaintext, uint64_t *chunks, uint64_t *plaintext_bytes);

#endif
