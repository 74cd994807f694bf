/*
 * One stripe in one call: encrypt, pad, code, hash (src/stripes/engine/kernels.ts is the specification), and the way back for what is
 * lost. Callers have checked that everything lies inside its memory.
 */
#ifndef HF_STRIPE_H
#define HF_STRIPE_H

#include <stddef.h>
#include <stdint.h>

#include "../kernels/gcm.h"
#include "chunks.h"

typedef enum { HF_STRIPE_OK = 0, HF_STRIPE_NO_MEMORY, HF_STRIPE_CIPHER_FAILED, HF_STRIPE_BAD_GEOMETRY } hf_stripe_status;

/* Consecutive plaintext of one stream. */
typedef struct {
  hf_stream_keys keys;
  const uint8_t *plaintext;
  size_t length;
  uint64_t first_index;
  int final;
} hf_run;

/* k + m fragments of `fragment_bytes` side by side; the payload lies, or will lie, at the start. */
typedef struct {
  size_t k;
  size_t m;
  size_t fragment_bytes;
  uint8_t *fragments;
} hf_stripe;

/* Seals the runs one behind the other into the payload, then as hf_encode_stripe. */
hf_stripe_status hf_seal_stripe(hf_gcm *gcm, const hf_stripe *stripe, const hf_run *runs, size_t run_count, uint8_t *roots);

/* Fills the data fragments behind the payload with zeros, codes, and writes the BLAKE3 of all fragments. */
hf_stripe_status hf_encode_stripe(const hf_stripe *stripe, size_t payload_bytes, uint8_t *roots);

/* Equal ranges of shards: `wanted` ones from k `sources`, and the BLAKE3 of each wanted one. */
typedef struct {
  size_t k;
  size_t m;
  size_t length;
  uint8_t source_indices[255];
  const uint8_t *sources[255];
  uint8_t wanted_indices[255];
  uint8_t *wanted[255];
  size_t wanted_count;
} hf_reconstruction;

hf_stripe_status hf_reconstruct(const hf_reconstruction *job, uint8_t *roots);

#endif
