/*
 * Codes and hashes fragments that lie side by side, column by column, so that bytes are still in the cache from the step before: a column
 * is one 16-KiB group of BLAKE3 in every fragment. Whoever fills the data fragments says how far they are (hf_columns_advance).
 */
#ifndef HF_COLUMNS_H
#define HF_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include "../kernels/blake3.h"
#include "../kernels/gf256.h"

typedef struct {
  size_t k;
  size_t m;
  size_t fragment_bytes;
  size_t groups_done;
  size_t groups;
  uint8_t *fragments;
  hf_gf256_matrix *matrix;
  uint8_t *chaining_values; /* groups of fragment 0, then of fragment 1, ... */
  hf_blake3_params hash;
} hf_columns;

/* Fragment i begins at fragments + i * fragment_bytes. Returns 0 without memory or for a geometry that codec 1 does not have. */
int hf_columns_begin(hf_columns *columns, uint8_t *fragments, size_t k, size_t m, size_t fragment_bytes);

/* The first `ready` bytes of every data fragment are there. */
void hf_columns_advance(hf_columns *columns, size_t ready);

/* All data fragments are there. Writes the BLAKE3 of each of the k + m fragments, 32 bytes one behind the other. */
void hf_columns_finish(hf_columns *columns, uint8_t *roots);

void hf_columns_end(hf_columns *columns);

#endif
