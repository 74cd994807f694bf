#include "gf256field.h"

#include <pthread.h>

#define POLYNOMIAL 0x1d /* without its leading x^8 */
#define ORDER 255       /* of the multiplicative group */

static pthread_once_t made = PTHREAD_ONCE_INIT;
static uint8_t exponents[2 * ORDER];
static uint8_t logarithms[256];
static uint64_t bit_matrices[256];
static uint8_t nibbles[256][HF_NIBBLES_BYTES];

static uint8_t product(uint8_t a, uint8_t b) {
  if (a == 0 || b == 0) return 0;
  return exponents[logarithms[a] + logarithms[b]];
}

/* Column j of the matrix is c * x^j; the instruction wants the row of result bit i in byte 7 - i. */
static uint64_t make_bit_matrix(uint8_t c) {
  uint64_t matrix = 0;
  for (int j = 0; j < 8; j++) {
    uint64_t column = product(c, (uint8_t)(1 << j));
    for (int i = 0; i < 8; i++) matrix |= ((column >> i) & 1) << (8 * (7 - i) + j);
  }
  return matrix;
}

static void make_tables(void) {
  uint8_t value = 1;
  for (int power = 0; power < ORDER; power++) {
    exponents[power] = exponents[power + ORDER] = value;
    logarithms[value] = (uint8_t)power;
    value = (uint8_t)((value << 1) ^ (value & 0x80 ? POLYNOMIAL : 0));
  }
  for (int c = 0; c < 256; c++) {
    bit_matrices[c] = make_bit_matrix((uint8_t)c);
    for (int nibble = 0; nibble < 16; nibble++) {
      nibbles[c][nibble] = product((uint8_t)c, (uint8_t)nibble);
      nibbles[c][16 + nibble] = product((uint8_t)c, (uint8_t)(nibble << 4));
    }
  }
}

uint8_t hf_gf256_multiply(uint8_t a, uint8_t b) {
  pthread_once(&made, make_tables);
  return product(a, b);
}

uint8_t hf_gf256_inverse(uint8_t a) {
  pthread_once(&made, make_tables);
  return a == 0 ? 0 : exponents[ORDER - logarithms[a]];
}

void hf_gf256_add_multiple(uint8_t *target, const uint8_t *source, uint8_t factor, size_t count) {
  pthread_once(&made, make_tables);
  for (size_t i = 0; i < count; i++) target[i] ^= product(factor, source[i]);
}

uint64_t hf_gf256_bit_matrix(uint8_t coefficient) {
  pthread_once(&made, make_tables);
  return bit_matrices[coefficient];
}

const uint8_t *hf_gf256_nibbles(uint8_t coefficient) {
  pthread_once(&made, make_tables);
  return nibbles[coefficient];
}
