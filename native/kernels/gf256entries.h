/* The two forms of entries that the vector kernels share: one for each coefficient, a source's rows one after the other. */
#ifndef HF_GF256ENTRIES_H
#define HF_GF256ENTRIES_H

#include "gf256kernel.h"

#define HF_BIT_MATRIX_BYTES 8

/* Both nibbles' products, HF_NIBBLES_BYTES each, for byte shuffles. */
size_t hf_gf256_nibble_entries_bytes(size_t rows);
void hf_gf256_nibble_entries(const hf_gf256_group *group, uint8_t *entries);

/* A bit matrix each, for gf2p8affineqb. */
size_t hf_gf256_bit_entries_bytes(size_t rows);
void hf_gf256_bit_entries(const hf_gf256_group *group, uint8_t *entries);

#endif
