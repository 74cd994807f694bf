/*
 * Products of 64 bytes with a bit matrix each. Ten rows take twenty of the thirty-two registers for their sums, so nearly every
 * geometry in use is one pass over the sources.
 *
 * Measured on Zen 5, where computing is as fast as the caches deliver, shards of 64 KiB to 1 MiB at a distance of whole pages:
 * - four vectors a step where the registers allow it read a stream in longer pieces and load each factor half as often (+5 to 15 %);
 * - a prefetch of half a kibibyte ahead in every stream is what the processor's own prefetchers do not manage with more than about
 *   eight streams (10 + 4 with 1-MiB shards: 38 to 67 GB/s) and costs nothing where all is cached;
 * - streams at a distance of whole pages share one set of the first-level cache (12 ways), so more than ten sources are read in
 *   parts, the outputs of a tile meanwhile staying in that cache (16 + 4: +8 %);
 * - stores past the cache lost at every size, since outputs fit the third-level cache and are read again soon.
 */
#include <immintrin.h>

#include "gf256entries.h"
#include "gf256kernel.h"

#define VECTOR_BYTES 64
#define ENTRY_BYTES HF_BIT_MATRIX_BYTES
#define ROWS_MAX 10
#define VECTORS_MAX 4
#define PREFETCH_BYTES 512
#define SOURCES_PER_PART 10
#define TILE_BYTES 4096

/* A part of a group: some of its sources, and the entries that belong to them. */
typedef struct {
  const uint8_t *entries;
  const uint8_t *const *sources;
  size_t count;
  uint8_t *const *outputs;
} part;

/*
 * Before LLVM 20, vgf2p8affineqb with a broadcast memory operand was encoded with a displacement eight times too large
 * (github.com/llvm/llvm-project/pull/120340); there the factor has to pass through a register.
 */
#if defined(__clang__) && __clang_major__ < 20
#define KEEP_IN_REGISTER(vector) __asm__("" : "+v"(vector))
#else
#define KEEP_IN_REGISTER(vector) (void)(vector)
#endif

__attribute__((always_inline)) static inline __m512i factor_of(const uint8_t *entry) {
  __m512i factor = _mm512_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)entry));
  KEEP_IN_REGISTER(factor);
  return factor;
}

__attribute__((always_inline)) static inline void prefetch(const uint8_t *bytes) {
  _mm_prefetch((const char *)((uintptr_t)bytes + PREFETCH_BYTES), _MM_HINT_T0); /* never faults, wherever that is */
}

/* Some vectors of each output, on top of what is there when `adding`. Inlined with constants, so that the sums are registers. */
__attribute__((always_inline)) static inline void step(const size_t rows, const size_t vectors, const int adding, const part *p,
                                                       size_t at) {
  __m512i sums[ROWS_MAX][VECTORS_MAX], source[VECTORS_MAX];
#pragma GCC unroll 10
  for (size_t row = 0; row < rows; row++) {
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; v++) {
      sums[row][v] = adding ? _mm512_loadu_si512(p->outputs[row] + at + v * VECTOR_BYTES) : _mm512_setzero_si512();
    }
  }
  const uint8_t *entry = p->entries;
  for (size_t s = 0; s < p->count; s++) {
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; v++) {
      const uint8_t *bytes = p->sources[s] + at + v * VECTOR_BYTES;
      source[v] = _mm512_loadu_si512(bytes);
      prefetch(bytes);
    }
#pragma GCC unroll 10
    for (size_t row = 0; row < rows; row++, entry += ENTRY_BYTES) {
      __m512i factor = factor_of(entry);
#pragma GCC unroll 4
      for (size_t v = 0; v < vectors; v++) {
        sums[row][v] = _mm512_xor_si512(sums[row][v], _mm512_gf2p8affine_epi64_epi8(source[v], factor, 0));
      }
    }
  }
#pragma GCC unroll 10
  for (size_t row = 0; row < rows; row++) {
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; v++) _mm512_storeu_si512(p->outputs[row] + at + v * VECTOR_BYTES, sums[row][v]);
  }
}

/* The bytes of one vector that `mask` names; the others are neither read nor written. */
__attribute__((always_inline)) static inline void step_masked(const size_t rows, const part *p, size_t at, __mmask64 mask) {
  __m512i sums[ROWS_MAX];
#pragma GCC unroll 10
  for (size_t row = 0; row < rows; row++) sums[row] = _mm512_setzero_si512();
  const uint8_t *entry = p->entries;
  for (size_t s = 0; s < p->count; s++) {
    __m512i source = _mm512_maskz_loadu_epi8(mask, p->sources[s] + at);
#pragma GCC unroll 10
    for (size_t row = 0; row < rows; row++, entry += ENTRY_BYTES) {
      sums[row] = _mm512_xor_si512(sums[row], _mm512_gf2p8affine_epi64_epi8(source, factor_of(entry), 0));
    }
  }
#pragma GCC unroll 10
  for (size_t row = 0; row < rows; row++) _mm512_mask_storeu_epi8(p->outputs[row] + at, mask, sums[row]);
}

/* Whole steps, tile by tile and within a tile part by part. */
__attribute__((always_inline)) static inline void run_steps(const size_t rows, const size_t vectors, const part *all, size_t from,
                                                            size_t to) {
  size_t parts = (all->count + SOURCES_PER_PART - 1) / SOURCES_PER_PART;
  size_t tile = parts == 1 ? to - from : TILE_BYTES;
  for (; from < to; from += tile) {
    size_t end = to - from < tile ? to : from + tile;
    for (size_t i = 0; i < parts; i++) {
      size_t first = i * all->count / parts;
      part p = {all->entries + first * rows * ENTRY_BYTES, all->sources + first, (i + 1) * all->count / parts - first, all->outputs};
      if (i == 0) {
        for (size_t at = from; at < end; at += vectors * VECTOR_BYTES) step(rows, vectors, 0, &p, at);
      } else {
        for (size_t at = from; at < end; at += vectors * VECTOR_BYTES) step(rows, vectors, 1, &p, at);
      }
    }
  }
}

__attribute__((always_inline)) static inline void run_rows(const size_t rows, const hf_gf256_group *group,
                                                           const uint8_t *const *sources, uint8_t *const *outputs, size_t from,
                                                           size_t to) {
  const size_t vectors = rows <= 5 ? 4 : 2;
  const part all = {group->entries, sources, group->columns, outputs};
  size_t at = to - (to - from) % (vectors * VECTOR_BYTES);
  if (from < at) run_steps(rows, vectors, &all, from, at);
  while (at < to) {
    size_t length = to - at < VECTOR_BYTES ? to - at : VECTOR_BYTES;
    step_masked(rows, &all, at, ~(__mmask64)0 >> (VECTOR_BYTES - length));
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

const hf_gf256_kernel hf_gf256_avx512 = {ROWS_MAX, hf_gf256_bit_entries_bytes, hf_gf256_bit_entries, run};
