/* Products of 32 bytes with a bit matrix each. */
#include <immintrin.h>

#include "gf256entries.h"

#define VECTOR_BYTES 32
#define ENTRY_BYTES HF_BIT_MATRIX_BYTES

typedef __m256i vector;
typedef __m256i operand;
typedef __m256i factor;

static inline vector load(const uint8_t *bytes) {
  return _mm256_loadu_si256((const __m256i *)bytes);
}

static inline void store(uint8_t *bytes, vector value) {
  _mm256_storeu_si256((__m256i *)bytes, value);
}

static inline vector zero(void) {
  return _mm256_setzero_si256();
}

static inline vector add(vector a, vector b) {
  return _mm256_xor_si256(a, b);
}

static inline operand operand_of(vector value) {
  return value;
}

static inline factor factor_of(const uint8_t *entry) {
  return _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)entry));
}

static inline vector product(factor f, operand o) {
  return _mm256_gf2p8affine_epi64_epi8(o, f, 0);
}

#include "gf256loops.h"

const hf_gf256_kernel hf_gf256_avx2gfni = {ROWS_MAX, hf_gf256_bit_entries_bytes, hf_gf256_bit_entries, run};
