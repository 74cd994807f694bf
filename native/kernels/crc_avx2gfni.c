#include <immintrin.h>

#include "crc_clmul.h"

static inline __m256i load_32(const uint8_t *at) {
  return _mm256_loadu_si256((const __m256i *)at);
}

static inline __m256i factors_32(const hf_crc_modulus *modulus, int bytes) {
  return _mm256_broadcastsi128_si256(factors_16(modulus, bytes));
}

static inline __m256i fold_32(__m256i folded, __m256i factors, __m256i there) {
  __m256i first = _mm256_clmulepi64_epi128(folded, factors, 0x00), second = _mm256_clmulepi64_epi128(folded, factors, 0x11);
  return _mm256_xor_si256(_mm256_xor_si256(first, second), there);
}

uint64_t hf_crc_avx2gfni(const hf_crc_modulus *modulus, uint64_t state, const uint8_t *bytes, size_t length) {
  if (length < 16) return hf_crc_tables(modulus, state, bytes, length);
  if (length < 32) return finish_16(modulus, begin_16(state, bytes), bytes + 16, length - 16);

  __m256i folded = _mm256_inserti128_si256(_mm256_castsi128_si256(begin_16(state, bytes)), load_16(bytes + 16), 1);
  __m256i by_32 = factors_32(modulus, 32);
  bytes += 32;
  length -= 32;
  if (length >= 96) {
    __m256i f0 = folded, f1 = load_32(bytes), f2 = load_32(bytes + 32), f3 = load_32(bytes + 64);
    __m256i by_128 = factors_32(modulus, 128);
    for (bytes += 96, length -= 96; length >= 128; bytes += 128, length -= 128) {
      f0 = fold_32(f0, by_128, load_32(bytes));
      f1 = fold_32(f1, by_128, load_32(bytes + 32));
      f2 = fold_32(f2, by_128, load_32(bytes + 64));
      f3 = fold_32(f3, by_128, load_32(bytes + 96));
    }
    folded = fold_32(fold_32(fold_32(f0, by_32, f1), by_32, f2), by_32, f3);
  }
  for (; length >= 32; bytes += 32, length -= 32) folded = fold_32(folded, by_32, load_32(bytes));
  __m128i both = fold_16(_mm256_castsi256_si128(folded), factors_16(modulus, 16), _mm256_extracti128_si256(folded, 1));
  return finish_16(modulus, both, bytes, length);
}
