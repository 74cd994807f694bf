#include <immintrin.h>

#include "crc_clmul.h"

#define TABLE_XOR3 0x96 /* for vpternlogd */

static inline __m512i load_64(const uint8_t *at) {
  return _mm512_loadu_si512(at);
}

static inline __m512i factors_64(const hf_crc_modulus *modulus, int bytes) {
  return _mm512_broadcast_i32x4(factors_16(modulus, bytes));
}

static inline __m512i fold_64(__m512i folded, __m512i factors, __m512i there) {
  __m512i first = _mm512_clmulepi64_epi128(folded, factors, 0x00), second = _mm512_clmulepi64_epi128(folded, factors, 0x11);
  return _mm512_ternarylogic_epi64(first, second, there, TABLE_XOR3);
}

/* Four 128 bits to one: each moves over the last, by a distance of its own. */
static inline __m128i join_4(const hf_crc_modulus *modulus, __m512i folded) {
  __m128i f0 = _mm512_castsi512_si128(folded), f1 = _mm512_extracti32x4_epi32(folded, 1);
  __m128i f2 = _mm512_extracti32x4_epi32(folded, 2), f3 = _mm512_extracti32x4_epi32(folded, 3);
  __m128i f23 = fold_16(f2, factors_16(modulus, 16), f3);
  return fold_16(f0, factors_16(modulus, 48), fold_16(f1, factors_16(modulus, 32), f23));
}

uint64_t hf_crc_avx512(const hf_crc_modulus *modulus, uint64_t state, const uint8_t *bytes, size_t length) {
  if (length < 16) return hf_crc_tables(modulus, state, bytes, length);
  if (length < 64) return finish_16(modulus, begin_16(state, bytes), bytes + 16, length - 16);

  __m512i folded = _mm512_xor_si512(load_64(bytes), _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)state)));
  __m512i by_64 = factors_64(modulus, 64);
  bytes += 64;
  length -= 64;
  if (length >= 192) {
    __m512i f0 = folded, f1 = load_64(bytes), f2 = load_64(bytes + 64), f3 = load_64(bytes + 128);
    __m512i by_256 = factors_64(modulus, 256);
    for (bytes += 192, length -= 192; length >= 256; bytes += 256, length -= 256) {
      f0 = fold_64(f0, by_256, load_64(bytes));
      f1 = fold_64(f1, by_256, load_64(bytes + 64));
      f2 = fold_64(f2, by_256, load_64(bytes + 128));
      f3 = fold_64(f3, by_256, load_64(bytes + 192));
    }
    folded = fold_64(fold_64(fold_64(f0, by_64, f1), by_64, f2), by_64, f3);
  }
  for (; length >= 64; bytes += 64, length -= 64) folded = fold_64(folded, by_64, load_64(bytes));
  return finish_16(modulus, join_4(modulus, folded), bytes, length);
}
