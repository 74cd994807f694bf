/* Products by looking up both nibbles of 32 bytes at once. */
#include <immintrin.h>

#include "gf256entries.h"
#include "gf256field.h"

#define VECTOR_BYTES 32
#define ENTRY_BYTES HF_NIBBLES_BYTES

typedef __m256i vector;

typedef struct {
  __m256i low, high;
} operand;

typedef operand factor;

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
  __m256i nibble = _mm256_set1_epi8(0x0f);
  return (operand){_mm256_and_si256(value, nibble), _mm256_and_si256(_mm256_srli_epi64(value, 4), nibble)};
}

static inline factor factor_of(const uint8_t *entry) {
  return (factor){_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)entry)),
                  _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(entry + 16)))};
}

static inline vector product(factor f, operand o) {
  return _mm256_xor_si256(_mm256_shuffle_epi8(f.low, o.low), _mm256_shuffle_epi8(f.high, o.high));
}

#include "gf256loops.h"

const hf_gf256_kernel hf_gf256_avx2 = {ROWS_MAX, hf_gf256_nibble_entries_bytes, hf_gf256_nibble_entries, run};
