/*
 * Folding by carry-less multiplication, 128 bits at a time (V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using
 * PCLMULQDQ Instruction", Intel 2009), in the reflected form of crc_modulus.h.
 *
 * 128 bits of a message are the polynomial A = L·x⁶⁴ + H, L in the low half of the register. To stand n bits further on they may be
 * replaced by anything congruent to A·x^n, such as L·(x^(n+64) mod P) + H·(x^n mod P), which is 128 bits again. The product of two
 * reflected words is one place short of reflected 128 bits, that is, multiplied by x; the factors are made for n-1 instead.
 */
#ifndef HF_CRC_CLMUL_H
#define HF_CRC_CLMUL_H

#include <smmintrin.h>
#include <wmmintrin.h>

#include "crc_modulus.h"

static inline __m128i load_16(const uint8_t *at) {
  return _mm_loadu_si128((const __m128i *)at);
}

/* The factors for a distance of `bytes`, a multiple of 16. */
static inline __m128i factors_16(const hf_crc_modulus *modulus, int bytes) {
  return _mm_loadu_si128((const __m128i *)&modulus->distances[bytes / 16]);
}

/* What stands for `folded` once moved on, plus what stands there. */
static inline __m128i fold_16(__m128i folded, __m128i factors, __m128i there) {
  __m128i first = _mm_clmulepi64_si128(folded, factors, 0x00), second = _mm_clmulepi64_si128(folded, factors, 0x11);
  return _mm_xor_si128(_mm_xor_si128(first, second), there);
}

/*
 * The register after 128 bits that stand for all of the message: A·x⁶⁴ mod P, by Barrett. L goes behind first, which leaves a U of
 * 128 bits; with the quotient q = ⌊U's first half · ⌊x¹²⁸÷P⌋ ÷ x⁶⁴⌋ the remainder is U's second half plus that of q·P. `quotient` and
 * `divisor` lack their last term, so that they fit 64 bits and products stand where they should; of q·P it is added here.
 */
static inline uint64_t reduce_16(const hf_crc_modulus *modulus, __m128i folded) {
  __m128i constants = _mm_set_epi64x((long long)modulus->quotient, (long long)modulus->to_end);
  __m128i moved = _mm_xor_si128(_mm_clmulepi64_si128(folded, constants, 0x00), _mm_srli_si128(folded, 8));
  __m128i quotient = _mm_clmulepi64_si128(moved, constants, 0x10);
  __m128i divided = _mm_clmulepi64_si128(quotient, _mm_cvtsi64_si128((long long)modulus->divisor), 0x00);
  uint64_t without_one = (uint64_t)_mm_extract_epi64(_mm_xor_si128(moved, divided), 1);
  return without_one ^ ((uint64_t)_mm_cvtsi128_si64(quotient) & modulus->has_one);
}

/* Whole sixteen bytes onto a folded register, then the rest through tables. */
static inline uint64_t finish_16(const hf_crc_modulus *modulus, __m128i folded, const uint8_t *bytes, size_t length) {
  __m128i by_16 = factors_16(modulus, 16);
  for (; length >= 16; bytes += 16, length -= 16) folded = fold_16(folded, by_16, load_16(bytes));
  uint64_t state = reduce_16(modulus, folded);
  return length > 0 ? hf_crc_tables(modulus, state, bytes, length) : state;
}

/* The register stands over the first bits of what follows. */
static inline __m128i begin_16(uint64_t state, const uint8_t *bytes) {
  return _mm_xor_si128(load_16(bytes), _mm_cvtsi64_si128((long long)state));
}

#endif
