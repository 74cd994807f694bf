/*
 * Steps of MD5 in general registers, for one stream or several in turn. A step waits for the one before it, 4 to 5 cycles each of which
 * fill a sixth of what a processor can do; steps of other streams fill the rest.
 *
 * The function of a round is written so that b, the late operand, goes through as few operations as possible: G as a sum of its two
 * halves (their bits never meet), of which the one without b is added beforehand. HF_MD5_LATE keeps the compiler from adding in another
 * order. Variables of stream n end in n; the including file defines HF_MD5_ADDEND(n, round, word, constant), the sum of the message
 * word and the constant.
 */
#ifndef HF_MD5_SCALAR_H
#define HF_MD5_SCALAR_H

#include "md5_rounds.h"

#define HF_MD5_LATE(x) __asm__("" : "+r"(x))
#define HF_MD5_ROTATE(x, shift) (((x) << (shift)) | ((x) >> (32 - (shift))))

#define HF_MD5_STEP(n, a, b, late, shift) \
  HF_MD5_LATE(a##n);                      \
  a##n += (late);                         \
  a##n = HF_MD5_ROTATE(a##n, shift) + b##n;

#define HF_MD5_F(n, a, b, c, d, word, constant, shift) \
  a##n += HF_MD5_ADDEND(n, 0, word, constant);         \
  HF_MD5_STEP(n, a, b, ((c##n ^ d##n) & b##n) ^ d##n, shift)

#define HF_MD5_G(n, a, b, c, d, word, constant, shift) \
  a##n += HF_MD5_ADDEND(n, 1, word, constant);         \
  a##n += c##n & ~d##n;                                \
  HF_MD5_STEP(n, a, b, d##n & b##n, shift)

#define HF_MD5_H(n, a, b, c, d, word, constant, shift) \
  a##n += HF_MD5_ADDEND(n, 2, word, constant);         \
  HF_MD5_STEP(n, a, b, (c##n ^ d##n) ^ b##n, shift)

#define HF_MD5_I(n, a, b, c, d, word, constant, shift) \
  a##n += HF_MD5_ADDEND(n, 3, word, constant);         \
  HF_MD5_STEP(n, a, b, (b##n | ~d##n) ^ c##n, shift)

#define HF_MD5_BEGIN(n)                                                                                   \
  uint32_t a##n = states[n][0], b##n = states[n][1], c##n = states[n][2], d##n = states[n][3]; \
  const uint8_t *at##n = bytes[n];

/* The state goes back to memory after each block: its old value is needed for the sum, and registers are few. */
#define HF_MD5_END(n)         \
  a##n += states[n][0];       \
  b##n += states[n][1];       \
  c##n += states[n][2];       \
  d##n += states[n][3];       \
  states[n][0] = a##n;        \
  states[n][1] = b##n;        \
  states[n][2] = c##n;        \
  states[n][3] = d##n;        \
  at##n += 64;

#endif
