/* Transpositions for the x86 kernels of BLAKE3: words of messages to and from lanes. */
#ifndef HF_BLAKE3_X86_H
#define HF_BLAKE3_X86_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* A 4 × 4 matrix of words: row i of the result is column i. */
static inline void hf_transpose4(__m128i a, __m128i b, __m128i c, __m128i d, __m128i columns[4]) {
  const __m128i ab_low = _mm_unpacklo_epi32(a, b), ab_high = _mm_unpackhi_epi32(a, b);
  const __m128i cd_low = _mm_unpacklo_epi32(c, d), cd_high = _mm_unpackhi_epi32(c, d);
  columns[0] = _mm_unpacklo_epi64(ab_low, cd_low);
  columns[1] = _mm_unpackhi_epi64(ab_low, cd_low);
  columns[2] = _mm_unpacklo_epi64(ab_high, cd_high);
  columns[3] = _mm_unpackhi_epi64(ab_high, cd_high);
}

static inline void load_block_x4(const uint8_t *const *rows, size_t offset, __m128i m[16]) {
  for (int quarter = 0; quarter < 4; quarter++) {
    const size_t at = offset + 16 * (size_t)quarter;
    hf_transpose4(_mm_loadu_si128((const __m128i *)(rows[0] + at)), _mm_loadu_si128((const __m128i *)(rows[1] + at)),
                  _mm_loadu_si128((const __m128i *)(rows[2] + at)), _mm_loadu_si128((const __m128i *)(rows[3] + at)),
                  m + 4 * quarter);
  }
}

static inline void store_cvs_x4(const __m128i h[8], uint8_t *cvs) {
  __m128i low[4], high[4];
  hf_transpose4(h[0], h[1], h[2], h[3], low);
  hf_transpose4(h[4], h[5], h[6], h[7], high);
  for (int lane = 0; lane < 4; lane++) {
    _mm_storeu_si128((__m128i *)(cvs + 32 * lane), low[lane]);
    _mm_storeu_si128((__m128i *)(cvs + 32 * lane + 16), high[lane]);
  }
}

#if defined(__AVX2__)
/* An 8 × 8 matrix of words. */
static inline void hf_transpose8(const __m256i rows[8], __m256i columns[8]) {
  __m256i pairs[8], quads[8];
  for (int i = 0; i < 4; i++) {
    pairs[2 * i] = _mm256_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    pairs[2 * i + 1] = _mm256_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
  for (int i = 0; i < 2; i++) {
    quads[4 * i] = _mm256_unpacklo_epi64(pairs[4 * i], pairs[4 * i + 2]);
    quads[4 * i + 1] = _mm256_unpackhi_epi64(pairs[4 * i], pairs[4 * i + 2]);
    quads[4 * i + 2] = _mm256_unpacklo_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
    quads[4 * i + 3] = _mm256_unpackhi_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
  }
  for (int i = 0; i < 4; i++) {
    columns[i] = _mm256_permute2x128_si256(quads[i], quads[i + 4], 0x20);
    columns[i + 4] = _mm256_permute2x128_si256(quads[i], quads[i + 4], 0x31);
  }
}

static inline void load_block_x8(const uint8_t *const *rows, size_t offset, __m256i m[16]) {
  for (int half = 0; half < 2; half++) {
    __m256i words[8];
    for (int lane = 0; lane < 8; lane++)
      words[lane] = _mm256_loadu_si256((const __m256i *)(rows[lane] + offset + 32 * (size_t)half));
    hf_transpose8(words, m + 8 * half);
  }
}

static inline void store_cvs_x8(const __m256i h[8], uint8_t *cvs) {
  __m256i lanes[8];
  hf_transpose8(h, lanes);
  for (int lane = 0; lane < 8; lane++) _mm256_storeu_si256((__m256i *)(cvs + 32 * lane), lanes[lane]);
}
#endif

#endif
