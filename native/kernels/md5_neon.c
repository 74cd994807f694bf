/* MD5 with four streams in the lanes of a NEON vector. */
#include <arm_neon.h>

#include "md5_kernels.h"

#define HF_LATE(x) __asm__("" : "+w"(x))

static inline uint32x4_t late_sum_4(uint32x4_t early, uint32x4_t late) {
  HF_LATE(early);
  return vaddq_u32(early, late);
}

static inline uint32x4_t bytes_4(const uint8_t *at) {
  return vreinterpretq_u32_u8(vld1q_u8(at));
}

static inline void words_4(const uint8_t *const *bytes, size_t offset, uint32x4_t words[16]) {
  for (int quarter = 0; quarter < 4; quarter++) {
    size_t at = offset + 16 * (size_t)quarter;
    uint32x4x2_t rows01 = vtrnq_u32(bytes_4(bytes[0] + at), bytes_4(bytes[1] + at));
    uint32x4x2_t rows23 = vtrnq_u32(bytes_4(bytes[2] + at), bytes_4(bytes[3] + at));
    words[4 * quarter] = vcombine_u32(vget_low_u32(rows01.val[0]), vget_low_u32(rows23.val[0]));
    words[4 * quarter + 1] = vcombine_u32(vget_low_u32(rows01.val[1]), vget_low_u32(rows23.val[1]));
    words[4 * quarter + 2] = vcombine_u32(vget_high_u32(rows01.val[0]), vget_high_u32(rows23.val[0]));
    words[4 * quarter + 3] = vcombine_u32(vget_high_u32(rows01.val[1]), vget_high_u32(rows23.val[1]));
  }
}

/* A shift, and a shift that inserts beside it. */
#define ROTATE_4(x, shift) vsriq_n_u32(vshlq_n_u32(x, shift), x, 32 - (shift))

#define HF_NAME hf_md5_neon_4
#define HF_LANES 4
#define HF_VECTOR uint32x4_t
#define HF_LOAD vld1q_u32
#define HF_STORE vst1q_u32
#define HF_WORDS words_4
#define HF_SET(x) vdupq_n_u32((uint32_t)(x))
#define HF_ADD vaddq_u32
#define HF_ROTATE ROTATE_4
#define HF_F(b, c, d) vbslq_u32(b, c, d)
#define HF_G(x, b, c, d) late_sum_4(vaddq_u32(x, vbicq_u32(c, d)), vandq_u32(d, b))
#define HF_H(b, c, d) veorq_u32(veorq_u32(c, d), b)
#define HF_I(b, c, d) veorq_u32(vornq_u32(b, d), c)
#include "md5_vector.h"
