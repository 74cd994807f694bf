/* MD5 with four streams in the lanes of a 128-bit vector, defined by what SSE2 has; compiled for SSSE3 and, with VEX forms, for AVX2. */
#include <emmintrin.h>

#define HF_F(b, c, d) _mm_xor_si128(_mm_and_si128(_mm_xor_si128(c, d), b), d)
#define HF_G(x, b, c, d) late_sum_4(_mm_add_epi32(x, _mm_andnot_si128(d, c)), _mm_and_si128(d, b))
#define HF_H(b, c, d) _mm_xor_si128(_mm_xor_si128(c, d), b)
#define HF_I(b, c, d) _mm_xor_si128(_mm_or_si128(_mm_xor_si128(d, _mm_set1_epi32(-1)), b), c)
#define HF_LATE(x) __asm__("" : "+x"(x))

static inline __m128i late_sum_4(__m128i early, __m128i late) {
  HF_LATE(early);
  return _mm_add_epi32(early, late);
}

static inline __m128i rotate_4(__m128i x, int shift) {
  return _mm_or_si128(_mm_slli_epi32(x, shift), _mm_srli_epi32(x, 32 - shift));
}

static inline void words_4(const uint8_t *const *bytes, size_t offset, __m128i words[16]) {
  for (int quarter = 0; quarter < 4; quarter++) {
    __m128i rows[4];
    for (int lane = 0; lane < 4; lane++) rows[lane] = _mm_loadu_si128((const __m128i *)(bytes[lane] + offset + 16 * quarter));
    __m128i low01 = _mm_unpacklo_epi32(rows[0], rows[1]), low23 = _mm_unpacklo_epi32(rows[2], rows[3]);
    __m128i high01 = _mm_unpackhi_epi32(rows[0], rows[1]), high23 = _mm_unpackhi_epi32(rows[2], rows[3]);
    words[4 * quarter] = _mm_unpacklo_epi64(low01, low23);
    words[4 * quarter + 1] = _mm_unpackhi_epi64(low01, low23);
    words[4 * quarter + 2] = _mm_unpacklo_epi64(high01, high23);
    words[4 * quarter + 3] = _mm_unpackhi_epi64(high01, high23);
  }
}

#define HF_LANES 4
#define HF_VECTOR __m128i
#define HF_LOAD(at) _mm_loadu_si128((const __m128i *)(at))
#define HF_STORE(at, x) _mm_storeu_si128((__m128i *)(at), x)
#define HF_WORDS words_4
#define HF_SET _mm_set1_epi32
#define HF_ADD _mm_add_epi32
#define HF_ROTATE rotate_4
#include "md5_vector.h"

#undef HF_F
#undef HF_G
#undef HF_H
#undef HF_I
#undef HF_LATE
