#include "crc_clmul.h"

uint64_t hf_crc_ssse3(const hf_crc_modulus *modulus, uint64_t state, const uint8_t *bytes, size_t length) {
  if (length < 16) return hf_crc_tables(modulus, state, bytes, length);
  __m128i folded = begin_16(state, bytes);
  if (length < 64) return finish_16(modulus, folded, bytes + 16, length - 16);

  /* Four at a time, since a multiplication takes some cycles but one can begin in every cycle. */
  __m128i f0 = folded, f1 = load_16(bytes + 16), f2 = load_16(bytes + 32), f3 = load_16(bytes + 48);
  __m128i by_64 = factors_16(modulus, 64), by_16 = factors_16(modulus, 16);
  for (bytes += 64, length -= 64; length >= 64; bytes += 64, length -= 64) {
    f0 = fold_16(f0, by_64, load_16(bytes));
    f1 = fold_16(f1, by_64, load_16(bytes + 16));
    f2 = fold_16(f2, by_64, load_16(bytes + 32));
    f3 = fold_16(f3, by_64, load_16(bytes + 48));
  }
  folded = fold_16(fold_16(fold_16(f0, by_16, f1), by_16, f2), by_16, f3);
  return finish_16(modulus, folded, bytes, length);
}
