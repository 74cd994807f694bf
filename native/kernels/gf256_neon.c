/* Products by looking up both nibbles of 16 bytes at once. */
#include <arm_neon.h>

#include "gf256entries.h"
#include "gf256field.h"

#define VECTOR_BYTES 16
#define ENTRY_BYTES HF_NIBBLES_BYTES

typedef uint8x16_t vector;

typedef struct {
  uint8x16_t low, high;
} operand;

typedef operand factor;

static inline vector load(const uint8_t *bytes) {
  return vld1q_u8(bytes);
}

static inline void store(uint8_t *bytes, vector value) {
  vst1q_u8(bytes, value);
}

static inline vector zero(void) {
  return vdupq_n_u8(0);
}

static inline vector add(vector a, vector b) {
  return veorq_u8(a, b);
}

static inline operand operand_of(vector value) {
  return (operand){vandq_u8(value, vdupq_n_u8(0x0f)), vshrq_n_u8(value, 4)};
}

static inline factor factor_of(const uint8_t *entry) {
  return (factor){vld1q_u8(entry), vld1q_u8(entry + 16)};
}

static inline vector product(factor f, operand o) {
  return veorq_u8(vqtbl1q_u8(f.low, o.low), vqtbl1q_u8(f.high, o.high));
}

#include "gf256loops.h"

const hf_gf256_kernel hf_gf256_neon = {ROWS_MAX, hf_gf256_nibble_entries_bytes, hf_gf256_nibble_entries, run};
