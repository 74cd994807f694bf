/* Arithmetic in GF(2^8) with polynomial 0x11D, and the tables that the kernels are prepared from. */
#ifndef HF_GF256FIELD_H
#define HF_GF256FIELD_H

#include <stddef.h>
#include <stdint.h>

/* Multiplication of 16 low and of 16 high nibbles by one coefficient, for the kernels that look nibbles up in a register. */
#define HF_NIBBLES_BYTES 32

uint8_t hf_gf256_multiply(uint8_t a, uint8_t b);

/* The inverse of a non-zero element; 0 for 0. */
uint8_t hf_gf256_inverse(uint8_t a);

/* target[i] += factor * source[i]. */
void hf_gf256_add_multiple(uint8_t *target, const uint8_t *source, uint8_t factor, size_t count);

/*
 * Multiplication by a coefficient as the 8 x 8 bit matrix that gf2p8affineqb takes. That instruction knows no field, so any
 * polynomial will do; gf2p8mulb would not, since its field is that of AES (0x11B).
 */
uint64_t hf_gf256_bit_matrix(uint8_t coefficient);

/* The HF_NIBBLES_BYTES of a coefficient. */
const uint8_t *hf_gf256_nibbles(uint8_t coefficient);

#endif
