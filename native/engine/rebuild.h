/* Bytes of data fragments that cannot be read where they lie: computed from the same columns of k other fragments, which lie in files. */
#ifndef HF_REBUILD_H
#define HF_REBUILD_H

#include <stddef.h>
#include <stdint.h>

#include "../kernels/gf256.h"
#include "files.h"

typedef struct {
  size_t k;
  size_t m;
  uint8_t indices[HF_SHARDS_MAX];             /* of the k fragments that can be read */
  hf_read_piece sources[HF_SHARDS_MAX];       /* where each begins, and how long it is */
  hf_gf256_matrix *matrices[HF_SHARDS_MAX];   /* of each fragment that was asked for; made when first needed */
} hf_rebuild;

typedef enum { HF_REBUILD_OK = 0, HF_REBUILD_NO_MEMORY, HF_REBUILD_BAD_GEOMETRY, HF_REBUILD_NOT_READ } hf_rebuild_status;

/*
 * Fills `target` with `length` bytes from `offset` on of fragment `index`. `scratch` has room for k times 64 bytes or more. HF_REBUILD_NOT_READ:
 * `*error` is the errno of a source, or 0 when its file ended too early.
 */
hf_rebuild_status hf_rebuild_range(hf_rebuild *rebuild, size_t index, uint64_t offset, uint8_t *target, size_t length, uint8_t *scratch,
                                   size_t scratch_bytes, int cached_only, int *error);

void hf_rebuild_end(hf_rebuild *rebuild);

#endif
