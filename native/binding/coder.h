/* Codec 1 for one k + m: the prepared parity matrix, and those of the losses decoded last. Belongs to one thread. */
#ifndef HF_CODER_H
#define HF_CODER_H

#include "../kernels/gf256.h"

typedef struct hf_coder hf_coder;

/* NULL when there is no memory, or no such geometry. */
hf_coder *hf_coder_new(size_t k, size_t m);
void hf_coder_free(hf_coder *coder);

size_t hf_coder_k(const hf_coder *coder);
size_t hf_coder_m(const hf_coder *coder);

/* The matrix to encode with, for m above 0; NULL when there is no memory. Valid until the next call. */
const hf_gf256_matrix *hf_coder_parity(hf_coder *coder);

/*
 * The matrix that makes the `wanted` shards (1 to k + m indices) of k `sources`; NULL when there is no memory, or when the indices
 * are none. Valid until the next call.
 */
const hf_gf256_matrix *hf_coder_decode(hf_coder *coder, const uint8_t *sources, const uint8_t *wanted, size_t wanted_count);

#endif
