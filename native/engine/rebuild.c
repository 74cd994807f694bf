#include "rebuild.h"

#define STEP_ALIGNMENT 64

static hf_rebuild_status matrix_of(hf_rebuild *rebuild, size_t index) {
  uint8_t coefficients[HF_SHARDS_MAX];
  uint8_t wanted = (uint8_t)index;
  if (rebuild->matrices[index] != NULL) return HF_REBUILD_OK;
  if (!hf_gf256_decode_coefficients(rebuild->k, rebuild->m, rebuild->indices, &wanted, 1, coefficients)) return HF_REBUILD_BAD_GEOMETRY;
  rebuild->matrices[index] = hf_gf256_matrix_new(coefficients, 1, rebuild->k);
  return rebuild->matrices[index] == NULL ? HF_REBUILD_NO_MEMORY : HF_REBUILD_OK;
}

hf_rebuild_status hf_rebuild_range(hf_rebuild *rebuild, size_t index, uint64_t offset, uint8_t *target, size_t length, uint8_t *scratch,
                                   size_t scratch_bytes, int cached_only, int *error) {
  const uint8_t *columns[HF_SHARDS_MAX];
  size_t failed = 0;
  size_t step = scratch_bytes / rebuild->k / STEP_ALIGNMENT * STEP_ALIGNMENT;
  hf_rebuild_status status = matrix_of(rebuild, index);
  if (status != HF_REBUILD_OK) return status;
  for (size_t i = 0; i < rebuild->k; i++) columns[i] = scratch + i * step;
  while (length > 0) {
    size_t bytes = length < step ? length : step;
    for (size_t i = 0; i < rebuild->k; i++) {
      if (!hf_read_range(&rebuild->sources[i], offset, scratch + i * step, bytes, cached_only, &failed, error)) return HF_REBUILD_NOT_READ;
    }
    hf_gf256_combine(rebuild->matrices[index], columns, &target, bytes);
    target += bytes;
    offset += bytes;
    length -= bytes;
  }
  return HF_REBUILD_OK;
}

void hf_rebuild_end(hf_rebuild *rebuild) {
  for (size_t i = 0; i < HF_SHARDS_MAX; i++) hf_gf256_matrix_free(rebuild->matrices[i]);
}
