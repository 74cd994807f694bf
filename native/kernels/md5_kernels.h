/*
 * The implementations of MD5's compression function that md5_plan.c chooses from. Each takes a fixed number of streams, its width, and
 * runs `blocks` blocks of 64 bytes of every one of them; where fewer streams are at hand, the caller fills up with one that it discards.
 */
#ifndef HF_MD5_KERNELS_H
#define HF_MD5_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* states[i] points to the four words of stream i, bytes[i] to its first block. */
typedef void hf_md5_blocks(uint32_t *const *states, const uint8_t *const *bytes, size_t blocks);

/* Steps of several streams in turn, in general registers (md5_scalar.c). */
hf_md5_blocks hf_md5_scalar_1, hf_md5_scalar_2, hf_md5_scalar_3, hf_md5_scalar_4;

/* One stream in each lane of a vector. */
hf_md5_blocks hf_md5_ssse3_4;
hf_md5_blocks hf_md5_avx2_4, hf_md5_avx2_8;
hf_md5_blocks hf_md5_avx512_4, hf_md5_avx512_8, hf_md5_avx512_16;
hf_md5_blocks hf_md5_neon_4;

/* As hf_md5_scalar_4, with message and constants added up in vectors beforehand (md5_sums_avx2.c). */
hf_md5_blocks hf_md5_sums_avx2_4;

#endif
