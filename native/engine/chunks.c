#include "chunks.h"

#include <string.h>

static void chunk_nonce(const uint8_t base[HF_GCM_NONCE_BYTES], uint64_t index, uint8_t nonce[HF_GCM_NONCE_BYTES]) {
  memcpy(nonce, base, HF_GCM_NONCE_BYTES);
  for (int i = 0; i < 5; i++) nonce[HF_GCM_NONCE_BYTES - 1 - i] ^= (uint8_t)(index >> (8 * i));
}

uint64_t hf_sealed_run_bytes(uint64_t length, int final) {
  uint64_t chunks = length / HF_CHUNK_PLAINTEXT_BYTES + (final ? 1 : 0);
  return length + chunks * HF_GCM_TAG_BYTES;
}

uint64_t hf_opened_run_bytes(uint64_t length) {
  uint64_t rest = length % HF_CHUNK_SEALED_BYTES;
  return length / HF_CHUNK_SEALED_BYTES * HF_CHUNK_PLAINTEXT_BYTES + (rest > HF_GCM_TAG_BYTES ? rest - HF_GCM_TAG_BYTES : 0);
}

int hf_seal_chunk(hf_gcm *gcm, const hf_stream_keys *keys, uint64_t index, const uint8_t *plaintext, size_t length, uint8_t *sealed) {
  uint8_t nonce[HF_GCM_NONCE_BYTES];
  chunk_nonce(keys->base_nonce, index, nonce);
  return hf_gcm_seal(gcm, nonce, plaintext, length, sealed);
}

int hf_seal_run(hf_gcm *gcm, const hf_stream_keys *keys, uint64_t first_index, const uint8_t *plaintext, size_t length, int final,
                uint8_t *sealed) {
  uint64_t whole = length / HF_CHUNK_PLAINTEXT_BYTES;
  if (!hf_gcm_set_key(gcm, keys->key)) return 0;
  for (uint64_t i = 0; i < whole; i++) {
    const uint8_t *chunk = plaintext + i * HF_CHUNK_PLAINTEXT_BYTES;
    if (!hf_seal_chunk(gcm, keys, first_index + i, chunk, HF_CHUNK_PLAINTEXT_BYTES, sealed + i * HF_CHUNK_SEALED_BYTES)) return 0;
  }
  if (!final) return 1;
  size_t rest = length - whole * HF_CHUNK_PLAINTEXT_BYTES;
  return hf_seal_chunk(gcm, keys, first_index + whole, plaintext + length - rest, rest, sealed + whole * HF_CHUNK_SEALED_BYTES);
}

uint64_t hf_open_run(hf_gcm *gcm, const hf_stream_keys *keys, uint64_t first_index, const uint8_t *sealed, size_t length, int final,
                     uint8_t *plaintext, uint64_t *chunks, uint64_t *plaintext_bytes) {
  uint64_t whole = length / HF_CHUNK_SEALED_BYTES;
  size_t rest = length % HF_CHUNK_SEALED_BYTES;
  *plaintext_bytes = 0;
  *chunks = 0;
  if (final ? rest < HF_GCM_TAG_BYTES : rest != 0) return 0;
  *chunks = whole + (final ? 1 : 0);
  if (!hf_gcm_set_key(gcm, keys->key)) return 0;
  for (uint64_t i = 0; i < *chunks; i++) {
    uint8_t nonce[HF_GCM_NONCE_BYTES];
    size_t bytes = i < whole ? HF_CHUNK_PLAINTEXT_BYTES : rest - HF_GCM_TAG_BYTES;
    chunk_nonce(keys->base_nonce, first_index + i, nonce);
    if (!hf_gcm_open(gcm, nonce, sealed + i * HF_CHUNK_SEALED_BYTES, bytes, plaintext + *plaintext_bytes)) return i;
    *plaintext_bytes += bytes;
  }
  return *chunks;
}
