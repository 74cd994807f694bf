/* Products by looking up both nibbles of 16 bytes at once. */
#include <tmmintrin.h>

#include "gf256entries.h"
#include "gf256field.h"

#define VECTOR_BYTES 16
#define ENTRY_BYTES HF_NIBBLES_BYTES

typedef __m128i vector;

typedef struct {
  __m128i low, high;
} operand;

typedef operand factor;

static inline vector load(const uint8_t *bytes) {
  return _mm_loadu_si128((const __m128i *)bytes);
}

static inline void store(uint8_t *bytes, vector value) {
  _mm_storeu_si128((__m128i *)bytes, value);
}

static inline vector zero(void) {
  return _mm_setzero_si128();
}

static inline vector add(vector a, vector b) {
  return _mm_xor_si128(a, b);
}

static inline operand operand_of(vector value) {
  __m128i nibble = _mm_set1_epi8(0x0f);
  return (operand){_mm_and_si128(value, nibble), _mm_and_si128(_mm_srli_epi64(value, 4), nibble)};
}

static inline factor factor_of(const uint8_t *entry) {
  return (factor){_mm_loadu_si128((const __m128i *)entry), _mm_loadu_si128((const __m128i *)(entry + 16))};
}

static inline vector product(factor f, operand o) {
  return _mm_xor_si128(_mm_shuffle_epi8(f.low, o.low), _mm_shuffle_epi8(f.high, o.high));
}

#include "gf256loops.h"

const hf_gf256_kernel hf_gf256_ssse3 = {ROWS_MAX, hf_gf256_nibble_entries_bytes, hf_gf256_nibble_entries, run};
