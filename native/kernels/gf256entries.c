#include "gf256entries.h"

#include <string.h>

#include "gf256field.h"

static uint8_t coefficient(const hf_gf256_group *group, size_t row, size_t source) {
  return group->coefficients[row * group->columns + source];
}

size_t hf_gf256_nibble_entries_bytes(size_t rows) {
  return rows * HF_NIBBLES_BYTES;
}

void hf_gf256_nibble_entries(const hf_gf256_group *group, uint8_t *entries) {
  for (size_t s = 0; s < group->columns; s++) {
    for (size_t row = 0; row < group->rows; row++, entries += HF_NIBBLES_BYTES) {
      memcpy(entries, hf_gf256_nibbles(coefficient(group, row, s)), HF_NIBBLES_BYTES);
    }
  }
}

size_t hf_gf256_bit_entries_bytes(size_t rows) {
  return rows * HF_BIT_MATRIX_BYTES;
}

void hf_gf256_bit_entries(const hf_gf256_group *group, uint8_t *entries) {
  for (size_t s = 0; s < group->columns; s++) {
    for (size_t row = 0; row < group->rows; row++, entries += HF_BIT_MATRIX_BYTES) {
      uint64_t matrix = hf_gf256_bit_matrix(coefficient(group, row, s));
      memcpy(entries, &matrix, HF_BIT_MATRIX_BYTES);
    }
  }
}
