/*
 * Bao (github.com/oconnor663/bao, docs/spec.md): the parents of the tree in pre-order, so a reader can check any leaf against the
 * root. The tree is cut off above leaves of one chunk or one group; what lies above is the same tree.
 */
#include "blake3_tree.h"

#define NODE_BYTES 64
/* Leaves whose parents are computed side by side and then put in order; a power of two. */
#define BATCH_LEAVES 64
#define BATCH_LEVELS 7

uint64_t hf_blake3_leaves(uint64_t length, size_t group_bytes) {
  return length == 0 ? 1 : (length - 1) / group_bytes + 1;
}

size_t hf_blake3_outboard_bytes(uint64_t length, size_t group_bytes) {
  return (size_t)((hf_blake3_leaves(length, group_bytes) - 1) * NODE_BYTES);
}

/* The leaves of the left subtree of a node over `leaves`: the largest power of two that leaves something to the right. */
static uint64_t left_leaves(uint64_t leaves) {
  uint64_t left = 1;
  while (left * 2 < leaves) left *= 2;
  return left;
}

typedef struct {
  const hf_blake3_params *params;
  const uint8_t *input;
  size_t length;
  size_t group_bytes;
} message;

/* Chaining values of leaves that begin at `first`, of which there are at most BATCH_LEAVES and more than one in the message. */
static void leaf_cvs(const message *whole, uint64_t first, size_t count, uint8_t *cvs) {
  const size_t from = (size_t)first * whole->group_bytes, rest = whole->length - from;
  const uint8_t *const input = whole->input + from;
  if (whole->group_bytes == HF_BLAKE3_CHUNK_BYTES) {
    const size_t all = count * HF_BLAKE3_CHUNK_BYTES;
    hf_blake3_chunks(whole->params, input, rest < all ? rest : all, first, cvs);
    return;
  }
  const size_t complete = rest / HF_BLAKE3_GROUP_BYTES < count ? rest / HF_BLAKE3_GROUP_BYTES : count;
  const uint64_t chunks = HF_BLAKE3_GROUP_BYTES / HF_BLAKE3_CHUNK_BYTES;
  const uint8_t *groups[BATCH_LEAVES];
  uint64_t first_chunks[BATCH_LEAVES];
  for (size_t i = 0; i < complete; i++) {
    groups[i] = input + i * HF_BLAKE3_GROUP_BYTES;
    first_chunks[i] = (first + i) * chunks;
  }
  hf_blake3_groups(whole->params, groups, first_chunks, complete, cvs);
  if (complete == count) return;
  hf_blake3_leaf(whole->params, input + complete * HF_BLAKE3_GROUP_BYTES, rest - complete * HF_BLAKE3_GROUP_BYTES,
                 (first + complete) * chunks, cvs + complete * HF_BLAKE3_CV_BYTES);
}

/* A node and all below it, from the levels of a batch; returns where the next node goes. What moved up unmerged is no node. */
static uint8_t *write_nodes(uint8_t levels[BATCH_LEVELS][BATCH_LEAVES * HF_BLAKE3_CV_BYTES], const size_t *counts, unsigned level,
                            size_t index, uint8_t *nodes) {
  if (level == 0) return nodes;
  if (2 * index + 1 == counts[level - 1]) return write_nodes(levels, counts, level - 1, 2 * index, nodes);
  memcpy(nodes, levels[level - 1] + index * NODE_BYTES, NODE_BYTES);
  nodes = write_nodes(levels, counts, level - 1, 2 * index, nodes + NODE_BYTES);
  return write_nodes(levels, counts, level - 1, 2 * index + 1, nodes);
}

/* At most BATCH_LEAVES leaves: their nodes in pre-order and the chaining value above them, which is the hash when `top` is ROOT. */
static void batch(const message *whole, uint64_t first, size_t count, uint32_t top, uint8_t *nodes, uint8_t cv[32]) {
  uint8_t levels[BATCH_LEVELS][BATCH_LEAVES * HF_BLAKE3_CV_BYTES];
  size_t counts[BATCH_LEVELS] = {count};
  unsigned level = 0;
  leaf_cvs(whole, first, count, levels[0]);
  for (; counts[level] > 2; level++) counts[level + 1] = hf_blake3_parents(whole->params, levels[level], counts[level], levels[level + 1]);
  if (counts[level] == 1) {
    memcpy(cv, levels[level], HF_BLAKE3_CV_BYTES);
    return;
  }
  hf_blake3_parent(whole->params, levels[level], top, cv);
  write_nodes(levels, counts, level + 1, 0, nodes);
}

static void subtree(const message *whole, uint64_t first, uint64_t count, uint32_t top, uint8_t *nodes, uint8_t cv[32]) {
  if (count <= BATCH_LEAVES) {
    batch(whole, first, (size_t)count, top, nodes, cv);
    return;
  }
  const uint64_t left = left_leaves(count);
  uint8_t *const left_nodes = nodes + NODE_BYTES;
  subtree(whole, first, left, 0, left_nodes, nodes);
  subtree(whole, first + left, count - left, 0, left_nodes + (left - 1) * NODE_BYTES, nodes + HF_BLAKE3_CV_BYTES);
  hf_blake3_parent(whole->params, nodes, top, cv);
}

void hf_blake3_outboard(const hf_blake3_params *params, const uint8_t *input, size_t length, size_t group_bytes, uint8_t *outboard,
                        uint8_t root[32]) {
  const uint64_t leaves = hf_blake3_leaves(length, group_bytes);
  if (leaves == 1) {
    hf_blake3(params, input, length, root, HF_BLAKE3_BYTES);
    return;
  }
  const message whole = {params, input, length, group_bytes};
  subtree(&whole, 0, leaves, HF_BLAKE3_ROOT, outboard, root);
}

size_t hf_blake3_proof_bytes(uint64_t length, size_t group_bytes, uint64_t leaf) {
  size_t bytes = 0;
  for (uint64_t leaves = hf_blake3_leaves(length, group_bytes); leaves > 1; bytes += NODE_BYTES) {
    const uint64_t left = left_leaves(leaves);
    if (leaf < left) {
      leaves = left;
    } else {
      leaf -= left;
      leaves -= left;
    }
  }
  return bytes;
}

void hf_blake3_proof(const uint8_t *outboard, uint64_t length, size_t group_bytes, uint64_t leaf, uint8_t *proof) {
  for (uint64_t leaves = hf_blake3_leaves(length, group_bytes); leaves > 1; proof += NODE_BYTES) {
    const uint64_t left = left_leaves(leaves);
    memcpy(proof, outboard, NODE_BYTES);
    outboard += NODE_BYTES;
    if (leaf < left) {
      leaves = left;
    } else {
      outboard += (left - 1) * NODE_BYTES;
      leaf -= left;
      leaves -= left;
    }
  }
}

/* The bytes of a leaf that exists: all are full but the last. */
static uint64_t leaf_bytes(uint64_t length, size_t group_bytes, uint64_t leaf) {
  const uint64_t from = leaf * group_bytes;
  return length - from < group_bytes ? length - from : group_bytes;
}

int hf_blake3_verify_proof(const hf_blake3_params *params, const uint8_t root[32], uint64_t length, size_t group_bytes,
                           uint64_t leaf, const uint8_t *bytes, size_t bytes_length, const uint8_t *proof, size_t proof_bytes) {
  uint64_t leaves = hf_blake3_leaves(length, group_bytes);
  if (leaf >= leaves || bytes_length != leaf_bytes(length, group_bytes, leaf)) return 0;
  if (proof_bytes != hf_blake3_proof_bytes(length, group_bytes, leaf)) return 0;
  uint8_t cv[HF_BLAKE3_CV_BYTES];
  if (leaves == 1) {
    hf_blake3(params, bytes, bytes_length, cv, HF_BLAKE3_BYTES);
    return memcmp(cv, root, HF_BLAKE3_BYTES) == 0;
  }
  const uint64_t first_chunk = leaf * (group_bytes / HF_BLAKE3_CHUNK_BYTES);
  const uint8_t *expected = root;
  for (uint32_t top = HF_BLAKE3_ROOT; leaves > 1; top = 0, proof += NODE_BYTES) {
    const uint64_t left = left_leaves(leaves);
    hf_blake3_parent(params, proof, top, cv);
    if (memcmp(cv, expected, HF_BLAKE3_CV_BYTES) != 0) return 0;
    if (leaf < left) {
      expected = proof;
      leaves = left;
    } else {
      expected = proof + HF_BLAKE3_CV_BYTES;
      leaf -= left;
      leaves -= left;
    }
  }
  hf_blake3_leaf(params, bytes, bytes_length, first_chunk, cv);
  return memcmp(cv, expected, HF_BLAKE3_CV_BYTES) == 0;
}
