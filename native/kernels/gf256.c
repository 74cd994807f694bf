#include "gf256.h"

#include <stdlib.h>
#include <string.h>

#include "gf256kernel.h"

/* Of the sources; a column of them stays in the second-level cache while one group of rows after another passes over it. */
#define COLUMN_BYTES (256 * 1024)
#define COLUMN_STEP 512

static const hf_gf256_kernel *selected = &hf_gf256_portable;

void hf_gf256_select(hf_level level) {
  selected = &hf_gf256_portable;
#if defined(__x86_64__)
  if (hf_level_has(level, HF_AVX512)) selected = &hf_gf256_avx512;
  else if (hf_level_has(level, HF_AVX2_GFNI)) selected = &hf_gf256_avx2gfni;
  else if (hf_level_has(level, HF_AVX2)) selected = &hf_gf256_avx2;
  else if (hf_level_has(level, HF_SSSE3)) selected = &hf_gf256_ssse3;
#elif defined(__aarch64__)
  if (hf_level_has(level, HF_NEON)) selected = &hf_gf256_neon;
#else
  (void)level;
#endif
}

/* Keeps the kernel it was prepared for, so that a matrix outlives a change of the level. */
struct hf_gf256_matrix {
  const hf_gf256_kernel *kernel;
  size_t columns;
  size_t group_count;
  hf_gf256_group groups[];
};

/* Groups differ by at most one row. */
static size_t group_rows(size_t group, size_t group_count, size_t rows) {
  return (group + 1) * rows / group_count - group * rows / group_count;
}

hf_gf256_matrix *hf_gf256_matrix_new(const uint8_t *coefficients, size_t rows, size_t columns) {
  if (rows == 0 || columns == 0 || rows > HF_SHARDS_MAX || columns > HF_SHARDS_MAX) return NULL;
  const hf_gf256_kernel *kernel = selected;
  size_t group_count = (rows + kernel->rows_max - 1) / kernel->rows_max;
  size_t entries_bytes = 0;
  for (size_t g = 0; g < group_count; g++) entries_bytes += columns * kernel->source_bytes(group_rows(g, group_count, rows));
  size_t head = sizeof(hf_gf256_matrix) + group_count * sizeof(hf_gf256_group);
  hf_gf256_matrix *matrix = malloc(head + entries_bytes + rows * columns);
  if (matrix == NULL) return NULL;
  uint8_t *entries = (uint8_t *)matrix + head;
  uint8_t *kept = entries + entries_bytes;
  memcpy(kept, coefficients, rows * columns);
  matrix->kernel = kernel;
  matrix->columns = columns;
  matrix->group_count = group_count;
  for (size_t g = 0; g < group_count; g++) {
    hf_gf256_group *group = &matrix->groups[g];
    *group = (hf_gf256_group){group_rows(g, group_count, rows), columns, kept, entries};
    kernel->prepare(group, entries);
    kept += group->rows * columns;
    entries += columns * kernel->source_bytes(group->rows);
  }
  return matrix;
}

void hf_gf256_matrix_free(hf_gf256_matrix *matrix) {
  free(matrix);
}

void hf_gf256_combine(const hf_gf256_matrix *matrix, const uint8_t *const *sources, uint8_t *const *outputs, size_t length) {
  size_t column = COLUMN_BYTES / matrix->columns / COLUMN_STEP * COLUMN_STEP;
  if (matrix->group_count == 1) column = length;
  for (size_t from = 0; from < length; from += column) {
    size_t to = length - from < column ? length : from + column;
    uint8_t *const *rows = outputs;
    for (size_t g = 0; g < matrix->group_count; g++) {
      matrix->kernel->run(&matrix->groups[g], sources, rows, from, to);
      rows += matrix->groups[g].rows;
    }
  }
}
