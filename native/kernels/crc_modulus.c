#include "crc_modulus.h"

#define ONE ((uint64_t)1 << 63) /* the polynomial 1 */

static uint64_t times_x(const hf_crc_modulus *modulus, uint64_t a) {
  return (a >> 1) ^ ((0 - (a & 1)) & modulus->polynomial);
}

uint64_t hf_crc_multiply(const hf_crc_modulus *modulus, uint64_t a, uint64_t b) {
  uint64_t product = 0;
  for (; a != 0; a <<= 1) {
    product ^= (0 - (a >> 63)) & b;
    b = times_x(modulus, b);
  }
  return product;
}

/* x^exponent mod P, by squaring. */
static uint64_t power_of_x(const hf_crc_modulus *modulus, uint64_t exponent) {
  uint64_t result = ONE;
  uint64_t square = times_x(modulus, ONE);
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result = hf_crc_multiply(modulus, result, square);
    square = hf_crc_multiply(modulus, square, square);
  }
  return result;
}

/* Long division of x¹²⁸ by P: the remainder so far, times x, yields the next coefficient of the quotient. */
static uint64_t quotient_of(const hf_crc_modulus *modulus) {
  uint64_t quotient = 1;
  uint64_t remainder = modulus->polynomial;
  for (int i = 1; i < 64; i++) {
    quotient |= (remainder & 1) << i;
    remainder = times_x(modulus, remainder);
  }
  return quotient;
}

static void prepare_tables(hf_crc_modulus *modulus) {
  for (uint64_t byte = 0; byte < 256; byte++) {
    uint64_t value = byte;
    for (int bit = 0; bit < 8; bit++) value = times_x(modulus, value);
    modulus->tables[0][byte] = value;
  }
  for (int n = 1; n < 16; n++) {
    for (int byte = 0; byte < 256; byte++) {
      uint64_t before = modulus->tables[n - 1][byte];
      modulus->tables[n][byte] = (before >> 8) ^ modulus->tables[0][before & 0xff];
    }
  }
}

void hf_crc_modulus_prepare(hf_crc_modulus *modulus) {
  for (uint64_t n = 0; n < HF_CRC_DISTANCES; n++) {
    uint64_t bits = 128 * n;
    modulus->distances[n].first = power_of_x(modulus, bits + 63);
    modulus->distances[n].second = bits > 0 ? power_of_x(modulus, bits - 1) : 0;
  }
  modulus->to_end = power_of_x(modulus, 127);
  modulus->quotient = quotient_of(modulus);
  modulus->divisor = modulus->polynomial << 1 | 1;
  modulus->has_one = 0 - (modulus->polynomial >> 63);
  modulus->bytes_of_x[0] = power_of_x(modulus, 8);
  for (int i = 1; i < 64; i++) {
    modulus->bytes_of_x[i] = hf_crc_multiply(modulus, modulus->bytes_of_x[i - 1], modulus->bytes_of_x[i - 1]);
  }
  prepare_tables(modulus);
}
