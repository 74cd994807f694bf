/*
 * C without intrinsics: a word holds one byte for each of eight rows, so that one look-up of a nibble gives its products with the
 * coefficients of all of them. Bytes are placed in words by shifts; the order of bytes in memory does not matter.
 */
#include "gf256field.h"
#include "gf256kernel.h"

#define ROWS_MAX 8
#define POSITIONS 8 /* of a shard, summed up side by side */

/* Of one source: what each low and each high nibble contributes to all rows. */
typedef struct {
  uint64_t low[16];
  uint64_t high[16];
} nibble_words;

static size_t source_bytes(size_t rows) {
  (void)rows;
  return sizeof(nibble_words);
}

static void prepare(const hf_gf256_group *group, uint8_t *entries) {
  nibble_words *words = (nibble_words *)(void *)entries;
  for (size_t s = 0; s < group->columns; s++) {
    words[s] = (nibble_words){{0}, {0}};
    for (size_t row = 0; row < group->rows; row++) {
      const uint8_t *products = hf_gf256_nibbles(group->coefficients[row * group->columns + s]);
      for (size_t nibble = 0; nibble < 16; nibble++) {
        words[s].low[nibble] |= (uint64_t)products[nibble] << (8 * row);
        words[s].high[nibble] |= (uint64_t)products[16 + nibble] << (8 * row);
      }
    }
  }
}

/* `count` positions, constant where it is inlined. */
__attribute__((always_inline)) static inline void step(const size_t count, const hf_gf256_group *group,
                                                       const uint8_t *const *sources, uint8_t *const *outputs, size_t at) {
  const nibble_words *words = (const nibble_words *)(const void *)group->entries;
  uint64_t sums[POSITIONS] = {0};
  for (size_t s = 0; s < group->columns; s++) {
    const uint8_t *source = sources[s] + at;
#pragma GCC unroll 8
    for (size_t i = 0; i < count; i++) sums[i] ^= words[s].low[source[i] & 15] ^ words[s].high[source[i] >> 4];
  }
  for (size_t row = 0; row < group->rows; row++) {
    for (size_t i = 0; i < count; i++) outputs[row][at + i] = (uint8_t)(sums[i] >> (8 * row));
  }
}

static void run(const hf_gf256_group *group, const uint8_t *const *sources, uint8_t *const *outputs, size_t from, size_t to) {
  for (; to - from >= POSITIONS; from += POSITIONS) step(POSITIONS, group, sources, outputs, from);
  for (; from < to; from++) step(1, group, sources, outputs, from);
}

const hf_gf256_kernel hf_gf256_portable = {ROWS_MAX, source_bytes, prepare, run};
