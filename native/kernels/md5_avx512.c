/*
 * MD5 with 4, 8 or 16 streams in the lanes of vectors of 128, 256 and 512 bits. With ternary logic and rotations every function is one
 * instruction and every step four, one after the other; the widths differ only in how much there is to load and transpose.
 */
#include <immintrin.h>

#include "md5_kernels.h"

/* Truth tables for vpternlogd: bit 4b + 2c + d. */
#define TABLE_F 0xca /* b ? c : d */
#define TABLE_G 0xe4 /* d ? b : c */
#define TABLE_H 0x96 /* b ^ c ^ d */
#define TABLE_I 0x39 /* c ^ (b | ~d) */

#define HF_LATE(x) __asm__("" : "+v"(x))

/* Sixteen bytes of a stream. */
static inline __m128i row_4(const uint8_t *const *bytes, size_t offset, int lane) {
  return _mm_loadu_si128((const __m128i *)(bytes[lane] + offset));
}

static inline void words_4(const uint8_t *const *bytes, size_t offset, __m128i words[16]) {
  for (int quarter = 0; quarter < 4; quarter++) {
    __m128i rows[4];
    for (int lane = 0; lane < 4; lane++) rows[lane] = row_4(bytes, offset + 16 * (size_t)quarter, lane);
    __m128i low01 = _mm_unpacklo_epi32(rows[0], rows[1]), low23 = _mm_unpacklo_epi32(rows[2], rows[3]);
    __m128i high01 = _mm_unpackhi_epi32(rows[0], rows[1]), high23 = _mm_unpackhi_epi32(rows[2], rows[3]);
    words[4 * quarter] = _mm_unpacklo_epi64(low01, low23);
    words[4 * quarter + 1] = _mm_unpackhi_epi64(low01, low23);
    words[4 * quarter + 2] = _mm_unpacklo_epi64(high01, high23);
    words[4 * quarter + 3] = _mm_unpackhi_epi64(high01, high23);
  }
}

#define HF_NAME hf_md5_avx512_4
#define HF_LANES 4
#define HF_VECTOR __m128i
#define HF_LOAD(at) _mm_loadu_si128((const __m128i *)(at))
#define HF_STORE(at, x) _mm_storeu_si128((__m128i *)(at), x)
#define HF_WORDS words_4
#define HF_SET _mm_set1_epi32
#define HF_ADD _mm_add_epi32
#define HF_ROTATE _mm_rol_epi32
#define HF_F(b, c, d) _mm_ternarylogic_epi32(b, c, d, TABLE_F)
#define HF_G(x, b, c, d) _mm_add_epi32(x, _mm_ternarylogic_epi32(b, c, d, TABLE_G))
#define HF_H(b, c, d) _mm_ternarylogic_epi32(b, c, d, TABLE_H)
#define HF_I(b, c, d) _mm_ternarylogic_epi32(b, c, d, TABLE_I)
#include "md5_vector.h"

#undef HF_F
#undef HF_G
#undef HF_H
#undef HF_I

/* The same of the streams `lane` and `lane` + 4: each 128 bits are transposed alike. */
static inline __m256i row_8(const uint8_t *const *bytes, size_t offset, int lane) {
  return _mm256_inserti32x4(_mm256_castsi128_si256(row_4(bytes, offset, lane)), row_4(bytes, offset, lane + 4), 1);
}

static inline void words_8(const uint8_t *const *bytes, size_t offset, __m256i words[16]) {
  for (int quarter = 0; quarter < 4; quarter++) {
    __m256i rows[4];
    for (int lane = 0; lane < 4; lane++) rows[lane] = row_8(bytes, offset + 16 * (size_t)quarter, lane);
    __m256i low01 = _mm256_unpacklo_epi32(rows[0], rows[1]), low23 = _mm256_unpacklo_epi32(rows[2], rows[3]);
    __m256i high01 = _mm256_unpackhi_epi32(rows[0], rows[1]), high23 = _mm256_unpackhi_epi32(rows[2], rows[3]);
    words[4 * quarter] = _mm256_unpacklo_epi64(low01, low23);
    words[4 * quarter + 1] = _mm256_unpackhi_epi64(low01, low23);
    words[4 * quarter + 2] = _mm256_unpacklo_epi64(high01, high23);
    words[4 * quarter + 3] = _mm256_unpackhi_epi64(high01, high23);
  }
}

#define HF_NAME hf_md5_avx512_8
#define HF_LANES 8
#define HF_VECTOR __m256i
#define HF_LOAD(at) _mm256_loadu_si256((const __m256i *)(at))
#define HF_STORE(at, x) _mm256_storeu_si256((__m256i *)(at), x)
#define HF_WORDS words_8
#define HF_SET _mm256_set1_epi32
#define HF_ADD _mm256_add_epi32
#define HF_ROTATE _mm256_rol_epi32
#define HF_F(b, c, d) _mm256_ternarylogic_epi32(b, c, d, TABLE_F)
#define HF_G(x, b, c, d) _mm256_add_epi32(x, _mm256_ternarylogic_epi32(b, c, d, TABLE_G))
#define HF_H(b, c, d) _mm256_ternarylogic_epi32(b, c, d, TABLE_H)
#define HF_I(b, c, d) _mm256_ternarylogic_epi32(b, c, d, TABLE_I)
#include "md5_vector.h"

#undef HF_F
#undef HF_G
#undef HF_H
#undef HF_I

/* The same of the streams `lane`, + 4, + 8 and + 12. Masked broadcasts go through the load ports, insertions through the shuffles'. */
static inline __m512i row_16(const uint8_t *const *bytes, size_t offset, int lane) {
  __m512i row = _mm512_castsi128_si512(row_4(bytes, offset, lane));
  row = _mm512_mask_broadcast_i32x4(row, 0x00f0, row_4(bytes, offset, lane + 4));
  row = _mm512_mask_broadcast_i32x4(row, 0x0f00, row_4(bytes, offset, lane + 8));
  return _mm512_mask_broadcast_i32x4(row, 0xf000, row_4(bytes, offset, lane + 12));
}

static inline void words_16(const uint8_t *const *bytes, size_t offset, __m512i words[16]) {
  for (int quarter = 0; quarter < 4; quarter++) {
    __m512i rows[4];
    for (int lane = 0; lane < 4; lane++) rows[lane] = row_16(bytes, offset + 16 * (size_t)quarter, lane);
    __m512i low01 = _mm512_unpacklo_epi32(rows[0], rows[1]), low23 = _mm512_unpacklo_epi32(rows[2], rows[3]);
    __m512i high01 = _mm512_unpackhi_epi32(rows[0], rows[1]), high23 = _mm512_unpackhi_epi32(rows[2], rows[3]);
    words[4 * quarter] = _mm512_unpacklo_epi64(low01, low23);
    words[4 * quarter + 1] = _mm512_unpackhi_epi64(low01, low23);
    words[4 * quarter + 2] = _mm512_unpacklo_epi64(high01, high23);
    words[4 * quarter + 3] = _mm512_unpackhi_epi64(high01, high23);
  }
}

#define HF_NAME hf_md5_avx512_16
#define HF_LANES 16
#define HF_VECTOR __m512i
#define HF_LOAD(at) _mm512_loadu_si512((at))
#define HF_STORE(at, x) _mm512_storeu_si512((at), x)
#define HF_WORDS words_16
#define HF_SET _mm512_set1_epi32
#define HF_ADD _mm512_add_epi32
#define HF_ROTATE _mm512_rol_epi32
#define HF_F(b, c, d) _mm512_ternarylogic_epi32(b, c, d, TABLE_F)
#define HF_G(x, b, c, d) _mm512_add_epi32(x, _mm512_ternarylogic_epi32(b, c, d, TABLE_G))
#define HF_H(b, c, d) _mm512_ternarylogic_epi32(b, c, d, TABLE_H)
#define HF_I(b, c, d) _mm512_ternarylogic_epi32(b, c, d, TABLE_I)
#include "md5_vector.h"
