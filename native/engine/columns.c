#include "columns.h"

#include <stdlib.h>
#include <string.h>

int hf_columns_begin(hf_columns *columns, uint8_t *fragments, size_t k, size_t m, size_t fragment_bytes) {
  /* Not on the stack: it may have 64 KiB, and threads have 128 KiB where the C library is musl. */
  uint8_t *coefficients = malloc(k * m + 1);
  *columns = (hf_columns){.k = k, .m = m, .fragment_bytes = fragment_bytes, .fragments = fragments};
  int known = coefficients != NULL && hf_gf256_parity_coefficients(k, m, coefficients);
  if (known && m > 0) columns->matrix = hf_gf256_matrix_new(coefficients, m, k);
  free(coefficients);
  if (!known) return 0;
  /* A fragment of one group is hashed whole: its group is the root. */
  columns->groups = fragment_bytes > HF_BLAKE3_GROUP_BYTES ? fragment_bytes / HF_BLAKE3_GROUP_BYTES : 0;
  hf_blake3_params_init(&columns->hash, HF_BLAKE3_HASH, NULL);
  columns->chaining_values = malloc((k + m) * columns->groups * HF_BLAKE3_BYTES + 1);
  if (columns->chaining_values != NULL && (m == 0 || columns->matrix != NULL)) return 1;
  hf_columns_end(columns);
  return 0;
}

void hf_columns_end(hf_columns *columns) {
  if (columns->matrix != NULL) hf_gf256_matrix_free(columns->matrix);
  free(columns->chaining_values);
  columns->matrix = NULL;
  columns->chaining_values = NULL;
}

static void code(const hf_columns *columns, size_t offset, size_t length) {
  const uint8_t *data[HF_SHARDS_MAX];
  uint8_t *parity[HF_SHARDS_MAX];
  if (columns->m == 0 || length == 0) return;
  for (size_t i = 0; i < columns->k; i++) data[i] = columns->fragments + i * columns->fragment_bytes + offset;
  for (size_t i = 0; i < columns->m; i++) parity[i] = columns->fragments + (columns->k + i) * columns->fragment_bytes + offset;
  hf_gf256_combine(columns->matrix, data, parity, length);
}

static uint8_t *chaining_values_of(const hf_columns *columns, size_t fragment) {
  return columns->chaining_values + fragment * columns->groups * HF_BLAKE3_BYTES;
}

/* The same group of all fragments at once: their compressions go side by side. */
static void hash_group(const hf_columns *columns, size_t group) {
  const uint8_t *groups[HF_SHARDS_MAX] = {0};
  uint64_t first_chunks[HF_SHARDS_MAX] = {0};
  uint8_t values[HF_SHARDS_MAX * HF_BLAKE3_BYTES];
  size_t offset = group * HF_BLAKE3_GROUP_BYTES;
  size_t count = columns->k + columns->m;
  for (size_t i = 0; i < count; i++) {
    groups[i] = columns->fragments + i * columns->fragment_bytes + offset;
    first_chunks[i] = offset / HF_BLAKE3_CHUNK_BYTES;
  }
  hf_blake3_groups(&columns->hash, groups, first_chunks, count, values);
  for (size_t i = 0; i < count; i++) {
    memcpy(chaining_values_of(columns, i) + group * HF_BLAKE3_BYTES, values + i * HF_BLAKE3_BYTES, HF_BLAKE3_BYTES);
  }
}

void hf_columns_advance(hf_columns *columns, size_t ready) {
  while (columns->groups_done < columns->groups && (columns->groups_done + 1) * HF_BLAKE3_GROUP_BYTES <= ready) {
    size_t group = columns->groups_done++;
    code(columns, group * HF_BLAKE3_GROUP_BYTES, HF_BLAKE3_GROUP_BYTES);
    hash_group(columns, group);
  }
}

static void hash_whole(const hf_columns *columns, uint8_t *roots) {
  const uint8_t *inputs[HF_SHARDS_MAX];
  size_t lengths[HF_SHARDS_MAX];
  size_t count = columns->k + columns->m;
  for (size_t i = 0; i < count; i++) {
    inputs[i] = columns->fragments + i * columns->fragment_bytes;
    lengths[i] = columns->fragment_bytes;
  }
  hf_blake3_many(&columns->hash, inputs, lengths, count, roots);
}

void hf_columns_finish(hf_columns *columns, uint8_t *roots) {
  hf_columns_advance(columns, columns->fragment_bytes);
  size_t coded = columns->groups * HF_BLAKE3_GROUP_BYTES;
  code(columns, coded, columns->fragment_bytes - coded);
  if (columns->groups == 0) {
    hash_whole(columns, roots);
    return;
  }
  for (size_t i = 0; i < columns->k + columns->m; i++) {
    const uint8_t *rest = columns->fragments + i * columns->fragment_bytes + coded;
    hf_blake3_from_groups(&columns->hash, chaining_values_of(columns, i), rest, columns->fragment_bytes, roots + i * HF_BLAKE3_BYTES);
  }
}
