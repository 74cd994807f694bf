#include "crc.h"

#include "crc_modulus.h"

static hf_crc_modulus zlib = {.polynomial = HF_CRC_ZLIB};
static hf_crc_modulus castagnoli = {.polynomial = HF_CRC_CASTAGNOLI};
static hf_crc_modulus nvme = {.polynomial = HF_CRC_NVME};

static hf_crc_kernel *kernel = hf_crc_tables;

static hf_crc_kernel *kernel_of(hf_level level) {
#if defined(__x86_64__)
  if (hf_level_has(level, HF_AVX512)) return hf_crc_avx512;
  if (hf_level_has(level, HF_AVX2_GFNI)) return hf_crc_avx2gfni;
  if (hf_level_has(level, HF_SSSE3)) return hf_crc_ssse3;
#elif defined(__aarch64__)
  if (hf_level_has(level, HF_NEON)) return hf_crc_neon;
#endif
  (void)level;
  return hf_crc_tables;
}

void hf_crc_select(hf_level level) {
  static int prepared;
  if (!prepared) {
    hf_crc_modulus_prepare(&zlib);
    hf_crc_modulus_prepare(&castagnoli);
    hf_crc_modulus_prepare(&nvme);
    prepared = 1;
  }
  kernel = kernel_of(level);
}

static uint64_t little_endian(const uint8_t *at) {
  uint64_t word = 0;
  for (int i = 0; i < 8; i++) word |= (uint64_t)at[i] << 8 * i;
  return word;
}

/* Eight bytes of a word through tables, the last of them with `behind` bytes after it. */
static uint64_t slices(const hf_crc_modulus *modulus, uint64_t word, int behind) {
  uint64_t sum = 0;
  for (int i = 0; i < 8; i++) sum ^= modulus->tables[behind + 7 - i][word >> 8 * i & 0xff];
  return sum;
}

uint64_t hf_crc_tables(const hf_crc_modulus *modulus, uint64_t state, const uint8_t *bytes, size_t length) {
  for (; length >= 16; bytes += 16, length -= 16) {
    state = slices(modulus, state ^ little_endian(bytes), 8) ^ slices(modulus, little_endian(bytes + 8), 0);
  }
  if (length >= 8) {
    state = slices(modulus, state ^ little_endian(bytes), 0);
    bytes += 8;
    length -= 8;
  }
  for (; length > 0; bytes++, length--) state = (state >> 8) ^ modulus->tables[0][(state ^ *bytes) & 0xff];
  return state;
}

uint32_t hf_crc32(uint32_t crc, const uint8_t *bytes, size_t length) {
  return ~(uint32_t)kernel(&zlib, ~crc, bytes, length);
}

uint32_t hf_crc32c(uint32_t crc, const uint8_t *bytes, size_t length) {
  return ~(uint32_t)kernel(&castagnoli, ~crc, bytes, length);
}

uint64_t hf_crc64nvme(uint64_t crc, const uint8_t *bytes, size_t length) {
  return ~kernel(&nvme, ~crc, bytes, length);
}

/*
 * first·x^(8·length) + second. The inversions at the beginning and the end cancel out. The power is a product of those in
 * bytes_of_x, one for each bit of the length that is set.
 */
static uint64_t combine(const hf_crc_modulus *modulus, uint64_t first, uint64_t second, uint64_t length) {
  for (int i = 0; length > 0; i++, length >>= 1) {
    if (length & 1) first = hf_crc_multiply(modulus, modulus->bytes_of_x[i], first);
  }
  return first ^ second;
}

uint32_t hf_crc32_combine(uint32_t first, uint32_t second, uint64_t second_length) {
  return (uint32_t)combine(&zlib, first, second, second_length);
}

uint32_t hf_crc32c_combine(uint32_t first, uint32_t second, uint64_t second_length) {
  return (uint32_t)combine(&castagnoli, first, second, second_length);
}

uint64_t hf_crc64nvme_combine(uint64_t first, uint64_t second, uint64_t second_length) {
  return combine(&nvme, first, second, second_length);
}
