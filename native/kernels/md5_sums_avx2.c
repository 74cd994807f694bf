/*
 * MD5 of four streams in general registers, where the sums of message words and constants are made in vectors beforehand: general
 * registers then have one addition less per step, and every step one load from the stack. Where vector instructions take two cycles
 * each (Zen 5), this is the fastest way for four streams.
 */
#include <immintrin.h>

#include "md5_kernels.h"
#include "md5_scalar.h"

/* The constants of each round at the places of the words they belong to. */
#define AT_WORD(a, b, c, d, word, constant, shift) [word] = constant,
static const uint32_t constants[4][16] __attribute__((aligned(32))) = {
    {HF_MD5_ROUND_1(AT_WORD)}, {HF_MD5_ROUND_2(AT_WORD)}, {HF_MD5_ROUND_3(AT_WORD)}, {HF_MD5_ROUND_4(AT_WORD)}};

typedef uint32_t sums[4][16] __attribute__((aligned(32)));

static inline void add_up(uint32_t (*sum)[16], const uint8_t *block) {
  for (int half = 0; half < 16; half += 8) {
    __m256i words = _mm256_loadu_si256((const __m256i *)(block + 4 * half));
    for (int round = 0; round < 4; round++) {
      __m256i added = _mm256_load_si256((const __m256i *)(constants[round] + half));
      _mm256_store_si256((__m256i *)(sum[round] + half), _mm256_add_epi32(words, added));
    }
  }
}

/* Keeps the compiler from taking the sums out of the vectors one by one instead of from memory. */
#define IN_MEMORY(sum) __asm__("" : "+m"(sum))


#define HF_MD5_ADDEND(n, round, word, constant) sum##n[round][word]

#define F4(a, b, c, d, w, k, s) HF_MD5_F(0, a, b, c, d, w, k, s) HF_MD5_F(1, a, b, c, d, w, k, s) HF_MD5_F(2, a, b, c, d, w, k, s) HF_MD5_F(3, a, b, c, d, w, k, s)
#define G4(a, b, c, d, w, k, s) HF_MD5_G(0, a, b, c, d, w, k, s) HF_MD5_G(1, a, b, c, d, w, k, s) HF_MD5_G(2, a, b, c, d, w, k, s) HF_MD5_G(3, a, b, c, d, w, k, s)
#define H4(a, b, c, d, w, k, s) HF_MD5_H(0, a, b, c, d, w, k, s) HF_MD5_H(1, a, b, c, d, w, k, s) HF_MD5_H(2, a, b, c, d, w, k, s) HF_MD5_H(3, a, b, c, d, w, k, s)
#define I4(a, b, c, d, w, k, s) HF_MD5_I(0, a, b, c, d, w, k, s) HF_MD5_I(1, a, b, c, d, w, k, s) HF_MD5_I(2, a, b, c, d, w, k, s) HF_MD5_I(3, a, b, c, d, w, k, s)

void hf_md5_sums_avx2_4(uint32_t *const *states, const uint8_t *const *bytes, size_t blocks) {
  HF_MD5_BEGIN(0) HF_MD5_BEGIN(1) HF_MD5_BEGIN(2) HF_MD5_BEGIN(3)
  sums sum0, sum1, sum2, sum3;
  for (; blocks > 0; blocks--) {
    add_up(sum0, at0);
    add_up(sum1, at1);
    add_up(sum2, at2);
    add_up(sum3, at3);
    IN_MEMORY(sum0);
    IN_MEMORY(sum1);
    IN_MEMORY(sum2);
    IN_MEMORY(sum3);
    HF_MD5_ROUND_1(F4)
    HF_MD5_ROUND_2(G4)
    HF_MD5_ROUND_3(H4)
    HF_MD5_ROUND_4(I4)
    HF_MD5_END(0) HF_MD5_END(1) HF_MD5_END(2) HF_MD5_END(3)
  }
}
