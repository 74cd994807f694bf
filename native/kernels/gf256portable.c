/*
 * C without intrinsics, written so that a compiler makes vector code of it for whatever processor it aims at: each block of a source
 * is doubled seven times, and every output takes those multiples whose bit is set in its coefficient.
 */
#include <string.h>

#include "gf256kernel.h"

#define BLOCK 64
#define ROWS 4

static void prepare(uint8_t coefficient, uint8_t *entry) {
  for (int bit = 0; bit < 8; bit++) entry[bit] = (coefficient >> bit) & 1 ? 0xff : 0;
}

/* Adds one block of a source to the sums of the group's rows. */
static void add_block(uint8_t sums[ROWS][BLOCK], const uint8_t *entries, size_t rows, const uint8_t *source) {
  uint8_t multiple[BLOCK];
  memcpy(multiple, source, BLOCK);
  for (int bit = 0; bit < 8; bit++) {
    for (size_t row = 0; row < rows; row++) {
      uint8_t mask = entries[row * 8 + bit];
      for (int i = 0; i < BLOCK; i++) sums[row][i] ^= multiple[i] & mask;
    }
    for (int i = 0; i < BLOCK; i++) multiple[i] = (uint8_t)((multiple[i] << 1) ^ (0x1d & -(multiple[i] >> 7)));
  }
}

static void run(const hf_gf256_group *group, const uint8_t *const *sources, uint8_t *const *outputs, size_t from, size_t to) {
  for (size_t at = from; at < to; at += BLOCK) {
    size_t length = to - at < BLOCK ? to - at : BLOCK;
    uint8_t sums[ROWS][BLOCK] = {{0}};
    uint8_t rest[BLOCK] = {0};
    for (size_t s = 0; s < group->columns; s++) {
      const uint8_t *source = sources[s] + at;
      if (length < BLOCK) source = memcpy(rest, source, length);
      add_block(sums, group->entries + s * group->rows * 8, group->rows, source);
    }
    for (size_t row = 0; row < group->rows; row++) memcpy(outputs[row] + at, sums[row], length);
  }
}

const hf_gf256_kernel hf_gf256_portable = {ROWS, 8, prepare, run};
