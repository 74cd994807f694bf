/* MD5 of one to four streams in general registers. Beyond four their state does not fit, and vectors win anyway. */
#include "md5_kernels.h"
#include "md5_scalar.h"

static inline uint32_t little_endian(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

#define HF_MD5_ADDEND(n, round, word, constant) (little_endian(at##n + 4 * (word)) + (constant))

#define F1(a, b, c, d, w, k, s) HF_MD5_F(0, a, b, c, d, w, k, s)
#define G1(a, b, c, d, w, k, s) HF_MD5_G(0, a, b, c, d, w, k, s)
#define H1(a, b, c, d, w, k, s) HF_MD5_H(0, a, b, c, d, w, k, s)
#define I1(a, b, c, d, w, k, s) HF_MD5_I(0, a, b, c, d, w, k, s)

void hf_md5_scalar_1(uint32_t *const *states, const uint8_t *const *bytes, size_t blocks) {
  HF_MD5_BEGIN(0)
  for (; blocks > 0; blocks--) {
    HF_MD5_ROUND_1(F1)
    HF_MD5_ROUND_2(G1)
    HF_MD5_ROUND_3(H1)
    HF_MD5_ROUND_4(I1)
    HF_MD5_END(0)
  }
}

#define F2(a, b, c, d, w, k, s) HF_MD5_F(0, a, b, c, d, w, k, s) HF_MD5_F(1, a, b, c, d, w, k, s)
#define G2(a, b, c, d, w, k, s) HF_MD5_G(0, a, b, c, d, w, k, s) HF_MD5_G(1, a, b, c, d, w, k, s)
#define H2(a, b, c, d, w, k, s) HF_MD5_H(0, a, b, c, d, w, k, s) HF_MD5_H(1, a, b, c, d, w, k, s)
#define I2(a, b, c, d, w, k, s) HF_MD5_I(0, a, b, c, d, w, k, s) HF_MD5_I(1, a, b, c, d, w, k, s)

void hf_md5_scalar_2(uint32_t *const *states, const uint8_t *const *bytes, size_t blocks) {
  HF_MD5_BEGIN(0) HF_MD5_BEGIN(1)
  for (; blocks > 0; blocks--) {
    HF_MD5_ROUND_1(F2)
    HF_MD5_ROUND_2(G2)
    HF_MD5_ROUND_3(H2)
    HF_MD5_ROUND_4(I2)
    HF_MD5_END(0) HF_MD5_END(1)
  }
}

#define F3(a, b, c, d, w, k, s) HF_MD5_F(0, a, b, c, d, w, k, s) HF_MD5_F(1, a, b, c, d, w, k, s) HF_MD5_F(2, a, b, c, d, w, k, s)
#define G3(a, b, c, d, w, k, s) HF_MD5_G(0, a, b, c, d, w, k, s) HF_MD5_G(1, a, b, c, d, w, k, s) HF_MD5_G(2, a, b, c, d, w, k, s)
#define H3(a, b, c, d, w, k, s) HF_MD5_H(0, a, b, c, d, w, k, s) HF_MD5_H(1, a, b, c, d, w, k, s) HF_MD5_H(2, a, b, c, d, w, k, s)
#define I3(a, b, c, d, w, k, s) HF_MD5_I(0, a, b, c, d, w, k, s) HF_MD5_I(1, a, b, c, d, w, k, s) HF_MD5_I(2, a, b, c, d, w, k, s)

void hf_md5_scalar_3(uint32_t *const *states, const uint8_t *const *bytes, size_t blocks) {
  HF_MD5_BEGIN(0) HF_MD5_BEGIN(1) HF_MD5_BEGIN(2)
  for (; blocks > 0; blocks--) {
    HF_MD5_ROUND_1(F3)
    HF_MD5_ROUND_2(G3)
    HF_MD5_ROUND_3(H3)
    HF_MD5_ROUND_4(I3)
    HF_MD5_END(0) HF_MD5_END(1) HF_MD5_END(2)
  }
}

#define F4(a, b, c, d, w, k, s) HF_MD5_F(0, a, b, c, d, w, k, s) HF_MD5_F(1, a, b, c, d, w, k, s) HF_MD5_F(2, a, b, c, d, w, k, s) HF_MD5_F(3, a, b, c, d, w, k, s)
#define G4(a, b, c, d, w, k, s) HF_MD5_G(0, a, b, c, d, w, k, s) HF_MD5_G(1, a, b, c, d, w, k, s) HF_MD5_G(2, a, b, c, d, w, k, s) HF_MD5_G(3, a, b, c, d, w, k, s)
#define H4(a, b, c, d, w, k, s) HF_MD5_H(0, a, b, c, d, w, k, s) HF_MD5_H(1, a, b, c, d, w, k, s) HF_MD5_H(2, a, b, c, d, w, k, s) HF_MD5_H(3, a, b, c, d, w, k, s)
#define I4(a, b, c, d, w, k, s) HF_MD5_I(0, a, b, c, d, w, k, s) HF_MD5_I(1, a, b, c, d, w, k, s) HF_MD5_I(2, a, b, c, d, w, k, s) HF_MD5_I(3, a, b, c, d, w, k, s)

void hf_md5_scalar_4(uint32_t *const *states, const uint8_t *const *bytes, size_t blocks) {
  HF_MD5_BEGIN(0) HF_MD5_BEGIN(1) HF_MD5_BEGIN(2) HF_MD5_BEGIN(3)
  for (; blocks > 0; blocks--) {
    HF_MD5_ROUND_1(F4)
    HF_MD5_ROUND_2(G4)
    HF_MD5_ROUND_3(H4)
    HF_MD5_ROUND_4(I4)
    HF_MD5_END(0) HF_MD5_END(1) HF_MD5_END(2) HF_MD5_END(3)
  }
}
