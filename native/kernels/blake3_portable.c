/* BLAKE3's compression (BLAKE3 paper, section 2.2) in C without intrinsics. */
#include "blake3_kernels.h"

static inline uint32_t load_word(const uint8_t *bytes) {
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static inline void store_word(uint8_t *bytes, uint32_t word) {
  bytes[0] = (uint8_t)word;
  bytes[1] = (uint8_t)(word >> 8);
  bytes[2] = (uint8_t)(word >> 16);
  bytes[3] = (uint8_t)(word >> 24);
}

static inline uint32_t rotate_right(uint32_t word, unsigned bits) {
  return word >> bits | word << (32 - bits);
}

#define MIX(a, b, c, d, x, y)       \
  a = a + b + m[x];                 \
  d = rotate_right(d ^ a, 16);      \
  c = c + d;                        \
  b = rotate_right(b ^ c, 12);      \
  a = a + b + m[y];                 \
  d = rotate_right(d ^ a, 8);       \
  c = c + d;                        \
  b = rotate_right(b ^ c, 7);

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
  MIX(v0, v4, v8, v12, s0, s1)                                                      \
  MIX(v1, v5, v9, v13, s2, s3)                                                      \
  MIX(v2, v6, v10, v14, s4, s5)                                                     \
  MIX(v3, v7, v11, v15, s6, s7)                                                     \
  MIX(v0, v5, v10, v15, s8, s9)                                                     \
  MIX(v1, v6, v11, v12, s10, s11)                                                   \
  MIX(v2, v7, v8, v13, s12, s13)                                                    \
  MIX(v3, v4, v9, v14, s14, s15)

void hf_blake3_compress_portable(const uint32_t cv[8], const uint8_t block[64], uint64_t counter, uint32_t block_bytes,
                                 uint32_t flags, uint32_t output[16]) {
  uint32_t m[HF_BLAKE3_BLOCK_WORDS];
  uint32_t before[HF_BLAKE3_CV_WORDS];
  for (int i = 0; i < HF_BLAKE3_BLOCK_WORDS; i++) m[i] = load_word(block + 4 * i);
  memcpy(before, cv, sizeof before);
  uint32_t v0 = cv[0], v1 = cv[1], v2 = cv[2], v3 = cv[3], v4 = cv[4], v5 = cv[5], v6 = cv[6], v7 = cv[7];
  uint32_t v8 = HF_BLAKE3_IV0, v9 = HF_BLAKE3_IV1, v10 = HF_BLAKE3_IV2, v11 = HF_BLAKE3_IV3;
  uint32_t v12 = (uint32_t)counter, v13 = (uint32_t)(counter >> 32), v14 = block_bytes, v15 = flags;
  HF_BLAKE3_ROUNDS(ROUND)
  const uint32_t upper[HF_BLAKE3_CV_WORDS] = {v8, v9, v10, v11, v12, v13, v14, v15};
  const uint32_t lower[HF_BLAKE3_CV_WORDS] = {v0, v1, v2, v3, v4, v5, v6, v7};
  for (int i = 0; i < HF_BLAKE3_CV_WORDS; i++) {
    output[i] = lower[i] ^ upper[i];
    output[i + HF_BLAKE3_CV_WORDS] = upper[i] ^ before[i];
  }
}

static void hash(const hf_blake3_job *job, uint8_t *cvs) {
  for (size_t lane = 0; lane < job->count; lane++) {
    uint32_t state[HF_BLAKE3_BLOCK_WORDS];
    memcpy(state, job->key, HF_BLAKE3_CV_BYTES);
    for (size_t block = 0; block < job->blocks; block++) {
      const int is_last = block + 1 == job->blocks;
      const uint8_t *bytes = is_last && job->tails != NULL ? job->tails + lane * HF_BLAKE3_BLOCK_BYTES
                                                           : job->inputs[lane] + block * HF_BLAKE3_BLOCK_BYTES;
      hf_blake3_compress_portable(state, bytes, job->counters != NULL ? job->counters[lane] : 0,
                                  is_last ? job->tail_bytes : HF_BLAKE3_BLOCK_BYTES, hf_blake3_block_flags(job, block), state);
    }
    for (int i = 0; i < HF_BLAKE3_CV_WORDS; i++) store_word(cvs + lane * HF_BLAKE3_CV_BYTES + 4 * i, state[i]);
  }
}

const hf_blake3_kernels hf_blake3_portable = {1, hf_blake3_compress_portable, hash, NULL};
