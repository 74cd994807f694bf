/*
 * Products of 64 bytes with a bit matrix each. Ten rows take twenty of the thirty-two registers for their sums, so nearly every
 * geometry in use is one pass over the sources.
 */
#include <immintrin.h>
#include <string.h>

#include "gf256field.h"
#include "gf256kernel.h"

#define VECTOR_BYTES 64
#define ENTRY_BYTES 8
#define ROWS_MAX 10

__attribute__((always_inline)) static inline __m512i factor_of(const uint8_t *entry) {
  return _mm512_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)entry));
}

/* Two vectors. Always inlined with a constant `rows`, so that the sums are registers. */
__attribute__((always_inline)) static inline void step(const size_t rows, const hf_gf256_group *group,
                                                       const uint8_t *const *sources, uint8_t *const *outputs, size_t at) {
  __m512i a[ROWS_MAX], b[ROWS_MAX];
#pragma GCC unroll 10
  for (size_t row = 0; row < rows; row++) a[row] = b[row] = _mm512_setzero_si512();
  const uint8_t *entry = group->entries;
  for (size_t s = 0; s < group->columns; s++) {
    __m512i x = _mm512_loadu_si512(sources[s] + at);
    __m512i y = _mm512_loadu_si512(sources[s] + at + VECTOR_BYTES);
#pragma GCC unroll 10
    for (size_t row = 0; row < rows; row++) {
      __m512i factor = factor_of(entry + row * ENTRY_BYTES);
      a[row] = _mm512_xor_si512(a[row], _mm512_gf2p8affine_epi64_epi8(x, factor, 0));
      b[row] = _mm512_xor_si512(b[row], _mm512_gf2p8affine_epi64_epi8(y, factor, 0));
    }
    entry += rows * ENTRY_BYTES;
  }
#pragma GCC unroll 10
  for (size_t row = 0; row < rows; row++) {
    _mm512_storeu_si512(outputs[row] + at, a[row]);
    _mm512_storeu_si512(outputs[row] + at + VECTOR_BYTES, b[row]);
  }
}

/* The bytes of one vector that `mask` names; the others are neither read nor written. */
__attribute__((always_inline)) static inline void step_masked(const size_t rows, const hf_gf256_group *group,
                                                              const uint8_t *const *sources, uint8_t *const *outputs, size_t at,
                                                              __mmask64 mask) {
  __m512i a[ROWS_MAX];
#pragma GCC unroll 10
  for (size_t row = 0; row < rows; row++) a[row] = _mm512_setzero_si512();
  const uint8_t *entry = group->entries;
  for (size_t s = 0; s < group->columns; s++) {
    __m512i x = _mm512_maskz_loadu_epi8(mask, sources[s] + at);
#pragma GCC unroll 10
    for (size_t row = 0; row < rows; row++) {
      a[row] = _mm512_xor_si512(a[row], _mm512_gf2p8affine_epi64_epi8(x, factor_of(entry + row * ENTRY_BYTES), 0));
    }
    entry += rows * ENTRY_BYTES;
  }
#pragma GCC unroll 10
  for (size_t row = 0; row < rows; row++) _mm512_mask_storeu_epi8(outputs[row] + at, mask, a[row]);
}

__attribute__((always_inline)) static inline void run_rows(const size_t rows, const hf_gf256_group *group,
                                                           const uint8_t *const *sources, uint8_t *const *outputs, size_t from,
                                                           size_t to) {
  size_t at = from;
  for (; to - at >= 2 * VECTOR_BYTES; at += 2 * VECTOR_BYTES) step(rows, group, sources, outputs, at);
  while (at < to) {
    size_t length = to - at < VECTOR_BYTES ? to - at : VECTOR_BYTES;
    step_masked(rows, group, sources, outputs, at, ~(__mmask64)0 >> (VECTOR_BYTES - length));
    at += length;
  }
}

#define ROWS_FUNCTION(rows)                                                                                                        \
  static void run_##rows(const hf_gf256_group *group, const uint8_t *const *sources, uint8_t *const *outputs, size_t from,       \
                         size_t to) {                                                                                             \
    run_rows(rows, group, sources, outputs, from, to);                                                                            \
  }

ROWS_FUNCTION(1)
ROWS_FUNCTION(2)
ROWS_FUNCTION(3)
ROWS_FUNCTION(4)
ROWS_FUNCTION(5)
ROWS_FUNCTION(6)
ROWS_FUNCTION(7)
ROWS_FUNCTION(8)
ROWS_FUNCTION(9)
ROWS_FUNCTION(10)

static void run(const hf_gf256_group *group, const uint8_t *const *sources, uint8_t *const *outputs, size_t from, size_t to) {
  static void (*const by_rows[ROWS_MAX])(const hf_gf256_group *, const uint8_t *const *, uint8_t *const *, size_t, size_t) = {
      run_1, run_2, run_3, run_4, run_5, run_6, run_7, run_8, run_9, run_10,
  };
  by_rows[group->rows - 1](group, sources, outputs, from, to);
}

static void prepare(uint8_t coefficient, uint8_t *entry) {
  uint64_t matrix = hf_gf256_bit_matrix(coefficient);
  memcpy(entry, &matrix, sizeof matrix);
}

const hf_gf256_kernel hf_gf256_avx512 = {ROWS_MAX, ENTRY_BYTES, prepare, run};
