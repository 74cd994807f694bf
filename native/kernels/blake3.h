/*
 * BLAKE3 (github.com/BLAKE3-team/BLAKE3-specs): hash, keyed hash, derive_key, batches, and the pieces a streaming caller needs: chaining
 * values of whole 16-KiB groups, which are also the leaves of a Bao outboard with chunk groups.
 */
#ifndef HF_BLAKE3_H
#define HF_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

#define HF_BLAKE3_BYTES 32
#define HF_BLAKE3_KEY_BYTES 32
#define HF_BLAKE3_CHUNK_BYTES 1024
#define HF_BLAKE3_GROUP_BYTES 16384

typedef enum { HF_BLAKE3_HASH, HF_BLAKE3_KEYED, HF_BLAKE3_DERIVE_CONTEXT, HF_BLAKE3_DERIVE_KEY } hf_blake3_mode;

void hf_blake3_select(hf_level level);

/* Key words and flags of a mode. `key` has 32 bytes for KEYED (the key) and DERIVE_KEY (the hash of the context), else it is ignored. */
typedef struct {
  uint32_t key[8];
  uint32_t flags;
} hf_blake3_params;

void hf_blake3_params_init(hf_blake3_params *params, hf_blake3_mode mode, const uint8_t *key);

/* One message; `output_bytes` of the extendable output. */
void hf_blake3(const hf_blake3_params *params, const uint8_t *input, size_t length, uint8_t *output, size_t output_bytes);

/* `count` messages of any lengths, 32 bytes each into outputs, one behind the other. Short messages of equal length go in parallel. */
void hf_blake3_many(const hf_blake3_params *params, const uint8_t *const *inputs, const size_t *lengths, size_t count,
                    uint8_t *outputs);

/* Chaining value of one whole 16-KiB group that begins at chunk `first_chunk` (a multiple of 16) and is not the whole message. */
void hf_blake3_group(const hf_blake3_params *params, const uint8_t *group, uint64_t first_chunk, uint8_t chaining_value[32]);

/*
 * The hash of a message of `length` bytes from the chaining values of its whole groups (32 bytes each; floor(length / 16384) of them)
 * and its rest (length mod 16384 bytes). A message of at most one group is hashed by `hf_blake3`: this needs length > 16384. When
 * the rest is empty, the last group is a group like the others.
 */
void hf_blake3_from_groups(const hf_blake3_params *params, const uint8_t *chaining_values, const uint8_t *rest, uint64_t length,
                           uint8_t output[32]);

/*
 * hf_blake3_group for `count` groups, of one message or of several: `groups` and `first_chunks` say which. Their parents are computed
 * side by side, so eight groups in a call cost less than eight calls. Chaining values go one behind the other.
 */
void hf_blake3_groups(const hf_blake3_params *params, const uint8_t *const *groups, const uint64_t *first_chunks, size_t count,
                      uint8_t *chaining_values);

/*
 * A message in pieces. The state belongs to the caller, needs no clean-up and may be copied; 18 KiB, of which a group waits for what
 * follows it. `final` leaves the state as it is, so a caller can ask for the hash of what there is so far and go on.
 */
#define HF_BLAKE3_TREE_LEVELS_MAX 54

typedef struct {
  uint8_t subtrees[HF_BLAKE3_TREE_LEVELS_MAX][32]; /* chaining values of complete subtrees, largest first */
  unsigned depth;
  uint64_t leaves; /* in those subtrees */
} hf_blake3_tree;

typedef struct {
  hf_blake3_params params;
  hf_blake3_tree tree; /* over groups */
  size_t buffered;
  uint8_t buffer[HF_BLAKE3_GROUP_BYTES];
} hf_blake3_stream;

void hf_blake3_stream_init(hf_blake3_stream *stream, const hf_blake3_params *params);
void hf_blake3_stream_update(hf_blake3_stream *stream, const uint8_t *input, size_t length);
void hf_blake3_stream_final(const hf_blake3_stream *stream, uint8_t *output, size_t output_bytes);

/*
 * Bao outboard (github.com/oconnor663/bao, docs/spec.md): the parent nodes of the tree in pre-order, 64 bytes each, over leaves of
 * `group_bytes` (1,024 or 16,384), without the length prefix. hf_blake3_outboard_bytes says how many; `root` receives the hash.
 */
size_t hf_blake3_outboard_bytes(uint64_t length, size_t group_bytes);
void hf_blake3_outboard(const hf_blake3_params *params, const uint8_t *input, size_t length, size_t group_bytes, uint8_t *outboard,
                        uint8_t root[32]);

/*
 * The proof of one leaf: the parents above it, root first, out of an outboard. hf_blake3_proof_bytes says how many bytes; leaves are
 * counted from 0, and an empty message has one. hf_blake3_verify_proof says whether these bytes are that leaf of the message with this
 * root and length. It reads nothing but its arguments, and any bytes may be given to it; 0 also when leaf, length or proof cannot be.
 */
uint64_t hf_blake3_leaves(uint64_t length, size_t group_bytes);
size_t hf_blake3_proof_bytes(uint64_t length, size_t group_bytes, uint64_t leaf);
void hf_blake3_proof(const uint8_t *outboard, uint64_t length, size_t group_bytes, uint64_t leaf, uint8_t *proof);
int hf_blake3_verify_proof(const hf_blake3_params *params, const uint8_t root[32], uint64_t length, size_t group_bytes,
                           uint64_t leaf, const uint8_t *bytes, size_t bytes_length, const uint8_t *proof, size_t proof_bytes);

#endif
