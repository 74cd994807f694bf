/* MD5 of one to four streams in general registers. Beyond four their state does not fit, and vectors win anyway. */
#include "md5_kernels.h"
#include "md5_scalar.h"

static inline uint32_t little_endian(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

#define HF_MD5_ADDEND(n, round, word, constant) (little_endian(at##n + 4 * (word)) + (constant))

#define F1(...) HF_MD5_OF_1(HF_MD5_F, __VA_ARGS__)
#define G1(...) HF_MD5_OF_1(HF_MD5_G, __VA_ARGS__)
#define H1(...) HF_MD5_OF_1(HF_MD5_H, __VA_ARGS__)
#define I1(...) HF_MD5_OF_1(HF_MD5_I, __VA_ARGS__)

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

#define F2(...) HF_MD5_OF_2(HF_MD5_F, __VA_ARGS__)
#define G2(...) HF_MD5_OF_2(HF_MD5_G, __VA_ARGS__)
#define H2(...) HF_MD5_OF_2(HF_MD5_H, __VA_ARGS__)
#define I2(...) HF_MD5_OF_2(HF_MD5_I, __VA_ARGS__)

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

#define F3(...) HF_MD5_OF_3(HF_MD5_F, __VA_ARGS__)
#define G3(...) HF_MD5_OF_3(HF_MD5_G, __VA_ARGS__)
#define H3(...) HF_MD5_OF_3(HF_MD5_H, __VA_ARGS__)
#define I3(...) HF_MD5_OF_3(HF_MD5_I, __VA_ARGS__)

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

#define F4(...) HF_MD5_OF_4(HF_MD5_F, __VA_ARGS__)
#define G4(...) HF_MD5_OF_4(HF_MD5_G, __VA_ARGS__)
#define H4(...) HF_MD5_OF_4(HF_MD5_H, __VA_ARGS__)
#define I4(...) HF_MD5_OF_4(HF_MD5_I, __VA_ARGS__)

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
