/*
 * The tree of BLAKE3 (BLAKE3 paper, section 2.1): chunks of 1,024 bytes are its leaves, a left subtree is the largest power of two of
 * leaves that leaves something to the right. So merging neighbours level by level, where an odd one moves up, gives its nodes; and
 * long messages are merged like the carries of a binary counter, a stretch at a time.
 */
#ifndef HF_BLAKE3_TREE_H
#define HF_BLAKE3_TREE_H

#include "blake3.h"
#include "blake3_kernels.h"

/* Nodes that are merged side by side before they enter the tree; a power of two. */
#define HF_BLAKE3_STRETCH 256

/* Of the level that is selected. */
extern const hf_blake3_kernels *hf_blake3_kernels_now;

/* The last compression of a message: its output can be extended. */
typedef struct {
  uint32_t cv[8];
  uint8_t block[64];
  uint32_t block_bytes;
  uint32_t flags; /* without ROOT */
} hf_blake3_output;

/* `output_bytes` of the extendable output. */
void hf_blake3_root_output(const hf_blake3_output *output, uint8_t *bytes, size_t output_bytes);

/* A chunk (at most 1,024 bytes, or none) up to its last compression. */
void hf_blake3_chunk_output(const hf_blake3_params *params, const uint8_t *chunk, size_t length, uint64_t counter,
                            hf_blake3_output *output);

/* A parent, from the chaining values below it. */
void hf_blake3_parent_output(const hf_blake3_params *params, const uint8_t left[32], const uint8_t right[32],
                             hf_blake3_output *output);
void hf_blake3_parent(const hf_blake3_params *params, const uint8_t children[64], uint32_t more_flags, uint8_t cv[32]);

/* Whole chunks side by side; the caller says how many and which. */
static inline hf_blake3_job hf_blake3_chunk_job(const hf_blake3_params *params, const uint8_t *const *chunks,
                                                const uint64_t *counters) {
  return (hf_blake3_job){.key = params->key,
                         .inputs = chunks,
                         .blocks = HF_BLAKE3_CHUNK_BLOCKS,
                         .tail_bytes = HF_BLAKE3_BLOCK_BYTES,
                         .counters = counters,
                         .flags = params->flags,
                         .start_flags = HF_BLAKE3_CHUNK_START,
                         .end_flags = HF_BLAKE3_CHUNK_END};
}

/* Chaining values of at most HF_BLAKE3_STRETCH chunks; the last may be a part. Returns their count. */
size_t hf_blake3_chunks(const hf_blake3_params *params, const uint8_t *input, size_t length, uint64_t first_chunk, uint8_t *cvs);

/* One level up; `above` may be `cvs`. Returns the count of chaining values there. */
size_t hf_blake3_parents(const hf_blake3_params *params, const uint8_t *cvs, size_t count, uint8_t *above);

/* Level by level, in place, until at most `leave` (1 or 2) are left. Returns how many. */
size_t hf_blake3_reduce(const hf_blake3_params *params, uint8_t *cvs, size_t count, size_t leave);

/* The chaining value of 1 to 16,384 bytes that are a complete node and not the whole message. */
void hf_blake3_leaf(const hf_blake3_params *params, const uint8_t *bytes, size_t length, uint64_t first_chunk, uint8_t cv[32]);

static inline void hf_blake3_tree_init(hf_blake3_tree *tree) {
  tree->depth = 0;
  tree->leaves = 0;
}

/* Adds a complete subtree over `leaves` (a power of two that divides the count so far); something must follow it. */
void hf_blake3_tree_push(const hf_blake3_params *params, hf_blake3_tree *tree, const uint8_t cv[32], uint64_t leaves);

/* The root over the subtrees, of which there is one at least, and the rest to the right of them. */
void hf_blake3_tree_root(const hf_blake3_params *params, const hf_blake3_tree *tree, const uint8_t rest[32],
                         hf_blake3_output *output);

#endif
