/* The folding of crc_clmul.h with PMULL; what is short of the 32-bit CRCs goes through the CRC instructions. */
#include <arm_acle.h>
#include <arm_neon.h>
#include <string.h>

#include "crc_modulus.h"

static inline uint64x2_t load_16(const uint8_t *at) {
  return vreinterpretq_u64_u8(vld1q_u8(at));
}

static inline uint64x2_t factors_16(const hf_crc_modulus *modulus, int bytes) {
  return vld1q_u64(&modulus->distances[bytes / 16].first);
}

static inline uint64x2_t multiply_first(uint64x2_t a, uint64x2_t b) {
  return vreinterpretq_u64_p128(vmull_p64((poly64_t)vgetq_lane_u64(a, 0), (poly64_t)vgetq_lane_u64(b, 0)));
}

static inline uint64x2_t multiply_second(uint64x2_t a, uint64x2_t b) {
  return vreinterpretq_u64_p128(vmull_high_p64(vreinterpretq_p64_u64(a), vreinterpretq_p64_u64(b)));
}

static inline uint64x2_t fold_16(uint64x2_t folded, uint64x2_t factors, uint64x2_t there) {
  return veorq_u64(veorq_u64(multiply_first(folded, factors), multiply_second(folded, factors)), there);
}

/* By Barrett; crc_clmul.h says how. */
static inline uint64_t reduce_16(const hf_crc_modulus *modulus, uint64x2_t folded) {
  uint64x2_t second_half = vsetq_lane_u64(vgetq_lane_u64(folded, 1), vdupq_n_u64(0), 0);
  uint64x2_t moved = veorq_u64(multiply_first(folded, vdupq_n_u64(modulus->to_end)), second_half);
  uint64x2_t quotient = multiply_first(moved, vdupq_n_u64(modulus->quotient));
  uint64x2_t divided = multiply_first(quotient, vdupq_n_u64(modulus->divisor));
  return vgetq_lane_u64(veorq_u64(moved, divided), 1) ^ (vgetq_lane_u64(quotient, 0) & modulus->has_one);
}

static inline uint64_t eight(const uint8_t *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static uint64_t zlib_instructions(uint32_t crc, const uint8_t *bytes, size_t length) {
  for (; length >= 8; bytes += 8, length -= 8) crc = __crc32d(crc, eight(bytes));
  for (; length > 0; bytes++, length--) crc = __crc32b(crc, *bytes);
  return crc;
}

static uint64_t castagnoli_instructions(uint32_t crc, const uint8_t *bytes, size_t length) {
  for (; length >= 8; bytes += 8, length -= 8) crc = __crc32cd(crc, eight(bytes));
  for (; length > 0; bytes++, length--) crc = __crc32cb(crc, *bytes);
  return crc;
}

/* Less than 64 bytes, where folding gains nothing. */
static uint64_t short_ones(const hf_crc_modulus *modulus, uint64_t state, const uint8_t *bytes, size_t length) {
  if (modulus->polynomial == HF_CRC_ZLIB) return zlib_instructions((uint32_t)state, bytes, length);
  if (modulus->polynomial == HF_CRC_CASTAGNOLI) return castagnoli_instructions((uint32_t)state, bytes, length);
  return hf_crc_tables(modulus, state, bytes, length);
}

uint64_t hf_crc_neon(const hf_crc_modulus *modulus, uint64_t state, const uint8_t *bytes, size_t length) {
  if (length < 64) return short_ones(modulus, state, bytes, length);
  uint64x2_t f0 = veorq_u64(load_16(bytes), vsetq_lane_u64(state, vdupq_n_u64(0), 0));
  uint64x2_t f1 = load_16(bytes + 16), f2 = load_16(bytes + 32), f3 = load_16(bytes + 48);
  uint64x2_t by_64 = factors_16(modulus, 64), by_16 = factors_16(modulus, 16);
  for (bytes += 64, length -= 64; length >= 64; bytes += 64, length -= 64) {
    f0 = fold_16(f0, by_64, load_16(bytes));
    f1 = fold_16(f1, by_64, load_16(bytes + 16));
    f2 = fold_16(f2, by_64, load_16(bytes + 32));
    f3 = fold_16(f3, by_64, load_16(bytes + 48));
  }
  uint64x2_t folded = fold_16(fold_16(fold_16(f0, by_16, f1), by_16, f2), by_16, f3);
  for (; length >= 16; bytes += 16, length -= 16) folded = fold_16(folded, by_16, load_16(bytes));
  state = reduce_16(modulus, folded);
  return length > 0 ? short_ones(modulus, state, bytes, length) : state;
}
