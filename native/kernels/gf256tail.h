/* Shards shorter than a vector, a byte at a time. */
#ifndef HF_GF256TAIL_H
#define HF_GF256TAIL_H

#include "gf256field.h"
#include "gf256kernel.h"

static inline void hf_gf256_short(const hf_gf256_group *group, const uint8_t *const *sources, uint8_t *const *outputs,
                                  size_t length) {
  for (size_t row = 0; row < group->rows; row++) {
    const uint8_t *coefficients = group->coefficients + row * group->columns;
    for (size_t i = 0; i < length; i++) outputs[row][i] = 0;
    for (size_t s = 0; s < group->columns; s++) hf_gf256_add_multiple(outputs[row], sources[s], coefficients[s], length);
  }
}

#endif
