/* BLAKE3 with Advanced SIMD: four inputs at once. One alone is as fast in general registers. */
#include <arm_neon.h>

#include "blake3_kernels.h"

static inline uint32x4_t rotate16(uint32x4_t x) {
  return vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(x)));
}

static inline uint32x4_t rotate8(uint32x4_t x) {
  static const uint8_t order[16] = {1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12};
  return vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(x), vld1q_u8(order)));
}

static inline uint32x4_t rotate12(uint32x4_t x) {
  return vsriq_n_u32(vshlq_n_u32(x, 20), x, 12);
}

static inline uint32x4_t rotate7(uint32x4_t x) {
  return vsriq_n_u32(vshlq_n_u32(x, 25), x, 7);
}

/* A 4 × 4 matrix of words: row i of the result is column i. */
static inline void transpose4(uint32x4_t a, uint32x4_t b, uint32x4_t c, uint32x4_t d, uint32x4_t columns[4]) {
  const uint64x2_t ab_even = vreinterpretq_u64_u32(vtrn1q_u32(a, b)), ab_odd = vreinterpretq_u64_u32(vtrn2q_u32(a, b));
  const uint64x2_t cd_even = vreinterpretq_u64_u32(vtrn1q_u32(c, d)), cd_odd = vreinterpretq_u64_u32(vtrn2q_u32(c, d));
  columns[0] = vreinterpretq_u32_u64(vtrn1q_u64(ab_even, cd_even));
  columns[1] = vreinterpretq_u32_u64(vtrn1q_u64(ab_odd, cd_odd));
  columns[2] = vreinterpretq_u32_u64(vtrn2q_u64(ab_even, cd_even));
  columns[3] = vreinterpretq_u32_u64(vtrn2q_u64(ab_odd, cd_odd));
}

static inline uint32x4_t load_bytes(const uint8_t *bytes) {
  return vreinterpretq_u32_u8(vld1q_u8(bytes));
}

static inline void load_block_x4(const uint8_t *const *rows, size_t offset, uint32x4_t m[16]) {
  for (int quarter = 0; quarter < 4; quarter++) {
    const size_t at = offset + 16 * (size_t)quarter;
    transpose4(load_bytes(rows[0] + at), load_bytes(rows[1] + at), load_bytes(rows[2] + at), load_bytes(rows[3] + at),
               m + 4 * quarter);
  }
}

static inline void store_cvs_x4(const uint32x4_t h[8], uint8_t *cvs) {
  uint32x4_t lower[4], upper[4];
  transpose4(h[0], h[1], h[2], h[3], lower);
  transpose4(h[4], h[5], h[6], h[7], upper);
  for (int lane = 0; lane < 4; lane++) {
    vst1q_u8(cvs + 32 * lane, vreinterpretq_u8_u32(lower[lane]));
    vst1q_u8(cvs + 32 * lane + 16, vreinterpretq_u8_u32(upper[lane]));
  }
}

#define LANES 4
#define VECTOR uint32x4_t
#define NAME(x) x##_x4
#define ADD vaddq_u32
#define XOR veorq_u32
#define SPLAT(word) vdupq_n_u32(word)
#define LOAD_WORDS(pointer) vld1q_u32(pointer)
#define ROTATE16 rotate16
#define ROTATE12 rotate12
#define ROTATE8 rotate8
#define ROTATE7 rotate7
#define MESSAGE_STAYS(m)
#include "blake3_lanes.h"

/* A pair does not fill the lanes, and general registers are as fast for it. */
static void hash(const hf_blake3_job *job, uint8_t *cvs) {
  if (job->count <= 2) {
    hf_blake3_portable.hash(job, cvs);
  } else {
    hash_job_x4(job, cvs);
  }
}

const hf_blake3_kernels hf_blake3_neon = {4, hf_blake3_compress_portable, hash, NULL};
