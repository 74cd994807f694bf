/*
 * What an instruction set brings to BLAKE3: one compression, and many at once, an input in each lane of the vectors (BLAKE3 paper,
 * section 5.3). Everything above (trees, modes, streams) is written once, on top of a table of these.
 */
#ifndef HF_BLAKE3_KERNELS_H
#define HF_BLAKE3_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HF_BLAKE3_BLOCK_BYTES 64
#define HF_BLAKE3_BLOCK_WORDS 16
#define HF_BLAKE3_CV_BYTES 32
#define HF_BLAKE3_CV_WORDS 8
#define HF_BLAKE3_CHUNK_BLOCKS 16
#define HF_BLAKE3_LANES_MAX 32

/* Domain flags (BLAKE3 paper, table 3). */
enum {
  HF_BLAKE3_CHUNK_START = 1,
  HF_BLAKE3_CHUNK_END = 2,
  HF_BLAKE3_PARENT = 4,
  HF_BLAKE3_ROOT = 8,
  HF_BLAKE3_KEYED_HASH = 16,
  HF_BLAKE3_DERIVE_KEY_CONTEXT = 32,
  HF_BLAKE3_DERIVE_KEY_MATERIAL = 64
};

/* SHA-256's initial values, which BLAKE3 shares (BLAKE3 paper, table 1). */
#define HF_BLAKE3_IV0 0x6a09e667u
#define HF_BLAKE3_IV1 0xbb67ae85u
#define HF_BLAKE3_IV2 0x3c6ef372u
#define HF_BLAKE3_IV3 0xa54ff53au
#define HF_BLAKE3_IV4 0x510e527fu
#define HF_BLAKE3_IV5 0x9b05688cu
#define HF_BLAKE3_IV6 0x1f83d9abu
#define HF_BLAKE3_IV7 0x5be0cd19u

/* ROUND(words…) seven times: the message words of each round, which is the permutation of table 2 applied again and again. */
#define HF_BLAKE3_ROUNDS(ROUND)                                  \
  ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)    \
  ROUND(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)    \
  ROUND(3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1)    \
  ROUND(10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6)    \
  ROUND(12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4)    \
  ROUND(9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7)    \
  ROUND(11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13)

/*
 * One compression with all 16 words of its result: the first eight are the chaining value, all of them a block of extended output.
 * `output` may be `cv`.
 */
typedef void hf_blake3_compress(const uint32_t cv[8], const uint8_t block[64], uint64_t counter, uint32_t block_bytes,
                                uint32_t flags, uint32_t output[16]);

/* Inputs of equally many blocks, hashed side by side. */
typedef struct {
  const uint32_t *key;
  const uint8_t *const *inputs; /* `count` of them, at any alignment */
  size_t count;                 /* 1 to the lanes of the kernel */
  size_t blocks;                /* of each input; at least 1 */
  const uint8_t *tails;         /* where the last blocks lie instead, one behind the other, padded with zeros; or NULL */
  uint32_t tail_bytes;          /* of message in each last block */
  const uint64_t *counters;     /* of each input; or NULL, for 0 */
  uint32_t flags;               /* of every block */
  uint32_t start_flags;         /* of the first besides */
  uint32_t end_flags;           /* of the last besides */
} hf_blake3_job;

/* Writes `job->count` chaining values one behind the other, after it has read all of the input. */
typedef void hf_blake3_lanes(const hf_blake3_job *job, uint8_t *cvs);

typedef struct {
  size_t lanes;
  hf_blake3_compress *compress;
  hf_blake3_lanes *hash;
  /* 16 chunks one behind the other to the chaining value above them; NULL where nothing beats the general way. */
  void (*group)(const uint32_t key[8], const uint8_t *group, uint64_t first_chunk, uint32_t flags, uint8_t cv[32]);
} hf_blake3_kernels;

extern const hf_blake3_kernels hf_blake3_portable;
#if defined(__x86_64__)
extern const hf_blake3_kernels hf_blake3_ssse3;
extern const hf_blake3_kernels hf_blake3_avx2;
extern const hf_blake3_kernels hf_blake3_avx512;
#elif defined(__aarch64__)
extern const hf_blake3_kernels hf_blake3_neon;
#endif
hf_blake3_compress hf_blake3_compress_portable;

/* The flags of block `index` of a job. */
static inline uint32_t hf_blake3_block_flags(const hf_blake3_job *job, size_t index) {
  return job->flags | (index == 0 ? job->start_flags : 0) | (index + 1 == job->blocks ? job->end_flags : 0);
}

#endif
