/*
 * What an implementation of the Reed-Solomon kernel is made of. A matrix is prepared once: its rows are cut into groups of at most
 * `rows_max`, as many as the registers hold sums for, and the coefficients of each group are brought into the form in which the loop
 * reads them, source by source. A group is computed in one pass over the sources.
 */
#ifndef HF_GF256KERNEL_H
#define HF_GF256KERNEL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  size_t rows;
  size_t columns;
  const uint8_t *coefficients; /* row-major */
  const uint8_t *entries;      /* of source 0 for each row, then of source 1, and so on; aligned to 8 bytes */
} hf_gf256_group;

typedef struct {
  size_t rows_max;
  size_t (*source_bytes)(size_t rows); /* of a source's entries in a group; a multiple of 8 */
  void (*prepare)(const hf_gf256_group *group, uint8_t *entries);
  /*
   * Bytes `from` to `to` of the outputs. Bytes before `from` may be computed again, which changes nothing because outputs overlap no
   * source; none is read or written at `to` or after.
   */
  void (*run)(const hf_gf256_group *group, const uint8_t *const *sources, uint8_t *const *outputs, size_t from, size_t to);
} hf_gf256_kernel;

extern const hf_gf256_kernel hf_gf256_portable;
#if defined(__x86_64__)
extern const hf_gf256_kernel hf_gf256_ssse3;
extern const hf_gf256_kernel hf_gf256_avx2;
extern const hf_gf256_kernel hf_gf256_avx2gfni;
extern const hf_gf256_kernel hf_gf256_avx512;
#elif defined(__aarch64__)
extern const hf_gf256_kernel hf_gf256_neon;
#endif

#endif
