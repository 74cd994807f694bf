/*
 * The loops of the kernels whose vectors have 16 or 32 bytes. A file that includes this has defined: VECTOR_BYTES; `vector` with
 * load(), store(), zero() and add(); `operand`, what a vector of a source is made into once for all rows, with operand_of(); `factor`,
 * a coefficient in registers, with factor_of() an entry of ENTRY_BYTES; and product() of both.
 *
 * Two vectors a step share the loads of the factors. With four rows, eight sums, two operands of two registers, a factor of two and
 * a product fit the sixteen registers of x86-64.
 */
#include "gf256kernel.h"
#include "gf256tail.h"

#define ROWS_MAX 4
#define PREFETCH_BYTES 512

/* Always inlined with constant `rows` and `vectors`, so that the sums are registers. */
__attribute__((always_inline)) static inline void step(const size_t rows, const size_t vectors, const hf_gf256_group *group,
                                                       const uint8_t *const *sources, uint8_t *const *outputs, size_t at) {
  vector sums[ROWS_MAX][2];
#pragma GCC unroll 4
  for (size_t row = 0; row < rows; row++) {
#pragma GCC unroll 2
    for (size_t v = 0; v < vectors; v++) sums[row][v] = zero();
  }
  const uint8_t *entry = group->entries;
  for (size_t s = 0; s < group->columns; s++) {
    operand operands[2];
#pragma GCC unroll 2
    for (size_t v = 0; v < vectors; v++) operands[v] = operand_of(load(sources[s] + at + v * VECTOR_BYTES));
    /* More streams than the processor's own prefetchers follow; never faults, wherever that is. */
    __builtin_prefetch((const void *)((uintptr_t)sources[s] + at + PREFETCH_BYTES));
#pragma GCC unroll 4
    for (size_t row = 0; row < rows; row++, entry += ENTRY_BYTES) {
      factor f = factor_of(entry);
#pragma GCC unroll 2
      for (size_t v = 0; v < vectors; v++) sums[row][v] = add(sums[row][v], product(f, operands[v]));
    }
  }
#pragma GCC unroll 4
  for (size_t row = 0; row < rows; row++) {
#pragma GCC unroll 2
    for (size_t v = 0; v < vectors; v++) store(outputs[row] + at + v * VECTOR_BYTES, sums[row][v]);
  }
}

/* The last vector ends with the shard and so may repeat bytes that were computed before. */
__attribute__((always_inline)) static inline void run_rows(const size_t rows, const hf_gf256_group *group,
                                                           const uint8_t *const *sources, uint8_t *const *outputs, size_t from,
                                                           size_t to) {
  size_t at = from;
  for (; to - at >= 2 * VECTOR_BYTES; at += 2 * VECTOR_BYTES) step(rows, 2, group, sources, outputs, at);
  if (to - at >= VECTOR_BYTES) {
    step(rows, 1, group, sources, outputs, at);
    at += VECTOR_BYTES;
  }
  if (at < to) step(rows, 1, group, sources, outputs, to - VECTOR_BYTES);
}

static void run(const hf_gf256_group *group, const uint8_t *const *sources, uint8_t *const *outputs, size_t from, size_t to) {
  if (to < VECTOR_BYTES) {
    hf_gf256_short(group, sources, outputs, to);
    return;
  }
  switch (group->rows) {
    case 1:
      run_rows(1, group, sources, outputs, from, to);
      break;
    case 2:
      run_rows(2, group, sources, outputs, from, to);
      break;
    case 3:
      run_rows(3, group, sources, outputs, from, to);
      break;
    default:
      run_rows(4, group, sources, outputs, from, to);
  }
}
