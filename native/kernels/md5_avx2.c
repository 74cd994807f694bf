/* MD5 with four streams in the lanes of a 128-bit vector, and with eight in those of a 256-bit one. */
#include <immintrin.h>

#include "md5_kernels.h"

#define HF_NAME hf_md5_avx2_4
#include "md5_sse.h"

#define HF_F(b, c, d) _mm256_xor_si256(_mm256_and_si256(_mm256_xor_si256(c, d), b), d)
#define HF_G(x, b, c, d) late_sum_8(_mm256_add_epi32(x, _mm256_andnot_si256(d, c)), _mm256_and_si256(d, b))
#define HF_H(b, c, d) _mm256_xor_si256(_mm256_xor_si256(c, d), b)
#define HF_I(b, c, d) _mm256_xor_si256(_mm256_or_si256(_mm256_xor_si256(d, _mm256_set1_epi32(-1)), b), c)
#define HF_LATE(x) __asm__("" : "+x"(x))

static inline __m256i late_sum_8(__m256i early, __m256i late) {
  HF_LATE(early);
  return _mm256_add_epi32(early, late);
}

static inline __m256i rotate_8(__m256i x, int shift) {
  return _mm256_or_si256(_mm256_slli_epi32(x, shift), _mm256_srli_epi32(x, 32 - shift));
}

/* Sixteen bytes of the stream `lane` and, in the upper half, of that four further on: halves are transposed alike. */
static inline __m256i row_8(const uint8_t *const *bytes, size_t offset, int lane) {
  __m128i low = _mm_loadu_si128((const __m128i *)(bytes[lane] + offset));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), _mm_loadu_si128((const __m128i *)(bytes[lane + 4] + offset)), 1);
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

#define HF_NAME hf_md5_avx2_8
#define HF_LANES 8
#define HF_VECTOR __m256i
#define HF_LOAD(at) _mm256_loadu_si256((const __m256i *)(at))
#define HF_STORE(at, x) _mm256_storeu_si256((__m256i *)(at), x)
#define HF_WORDS words_8
#define HF_SET _mm256_set1_epi32
#define HF_ADD _mm256_add_epi32
#define HF_ROTATE rotate_8
#include "md5_vector.h"
