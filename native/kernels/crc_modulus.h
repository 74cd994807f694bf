/*
 * What the kernels of all three CRCs have in common. A CRC of 32 bits modulo P is one of 64 bits modulo P·x³²: a multiple of x³²
 * divided by that leaves x³² times what the dividend without x³² leaves modulo P. So all kernels compute with 64 bits, and polynomials are
 * kept as the CRCs keep them, reflected: bit i of a word is the coefficient of x^(63-i). The value of a CRC-32 then stands in the low
 * half of the word, and the other half is zero.
 */
#ifndef HF_CRC_MODULUS_H
#define HF_CRC_MODULUS_H

#include <stddef.h>
#include <stdint.h>

#define HF_CRC_ZLIB 0xedb88320u
#define HF_CRC_CASTAGNOLI 0x82f63b78u
#define HF_CRC_NVME 0x9a6c9329ac4bc9b5u

/* Moves 128 bits, folded to a distance, over what lies there: one factor for each half (crc_fold.h). */
typedef struct {
  uint64_t first, second;
} hf_crc_distance;

#define HF_CRC_DISTANCES 17

typedef struct hf_crc_modulus {
  uint64_t polynomial;                            /* P without its term x⁶⁴ */
  hf_crc_distance distances[HF_CRC_DISTANCES];    /* entry n: by 16·n bytes */
  uint64_t to_end;                                /* x¹²⁷ mod P: puts the 64 zero bits of a CRC behind the first half */
  uint64_t quotient;                              /* ⌊x¹²⁸ ÷ P⌋ from x⁶⁴ down to x¹ */
  uint64_t divisor;                               /* P from x⁶⁴ down to x¹ */
  uint64_t has_one;                               /* all ones when P has the term 1, otherwise 0 */
  uint64_t bytes_of_x[64];                        /* entry i: x^(8·2^i) mod P */
  uint64_t tables[16][256];                       /* [n][b]: byte b followed by n zero bytes */
} hf_crc_modulus;

/* Fills everything from `polynomial`. */
void hf_crc_modulus_prepare(hf_crc_modulus *modulus);

/* a·b mod P. */
uint64_t hf_crc_multiply(const hf_crc_modulus *modulus, uint64_t a, uint64_t b);

/* The register after some bytes, from that before them; without inversions. A kernel takes any length. */
typedef uint64_t hf_crc_kernel(const hf_crc_modulus *modulus, uint64_t state, const uint8_t *bytes, size_t length);

hf_crc_kernel hf_crc_tables;    /* slicing by 16 */
hf_crc_kernel hf_crc_ssse3;     /* 128 bits at a time, four of them in turn */
hf_crc_kernel hf_crc_avx2gfni;  /* 256 */
hf_crc_kernel hf_crc_avx512;    /* 512 */
hf_crc_kernel hf_crc_neon;      /* 128, and CRC instructions for what is short */

#endif
