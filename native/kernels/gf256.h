/*
 * Reed-Solomon over GF(2^8) with polynomial 0x11D and a Cauchy matrix: codec 1 (src/coding/cauchy.ts is its specification).
 * Coefficient of data shard j in parity shard i: inverse((k + i) XOR j), for every k >= 1, m >= 0 with k + m <= 255.
 */
#ifndef HF_GF256_H
#define HF_GF256_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

#define HF_SHARDS_MAX 255

void hf_gf256_select(hf_level level);

/* A matrix of `rows` times `columns` coefficients, in the form that the kernel of the present level reads. */
typedef struct hf_gf256_matrix hf_gf256_matrix;

/* NULL when there is no memory, or when a dimension is 0 or above 255. `coefficients` is row-major. */
hf_gf256_matrix *hf_gf256_matrix_new(const uint8_t *coefficients, size_t rows, size_t columns);
void hf_gf256_matrix_free(hf_gf256_matrix *matrix);

/*
 * outputs[r] = sum over s of matrix[r][s] * sources[s], for `length` bytes of each. Outputs overlap nothing else; sources may be any
 * memory. No alignment is needed. Any sub-range of shards can be computed by itself.
 */
void hf_gf256_combine(const hf_gf256_matrix *matrix, const uint8_t *const *sources, uint8_t *const *outputs, size_t length);

/* The m x k parity coefficients of k + m, row-major. Returns 0 for a geometry that codec 1 does not have. */
int hf_gf256_parity_coefficients(size_t k, size_t m, uint8_t *coefficients);

/*
 * Coefficients of each of `wanted` over `sources` (k distinct shard indices), row-major, wanted_count x k. Returns 0 when an index is
 * out of range or a source is named twice.
 */
int hf_gf256_decode_coefficients(size_t k, size_t m, const uint8_t *sources, const uint8_t *wanted, size_t wanted_count,
                                 uint8_t *coefficients);

#endif
