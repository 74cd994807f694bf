/*
 * MD5 with one stream in each lane of a vector: the body of a kernel, included once for each width. The including file defines
 *
 *   HF_NAME, HF_LANES, HF_VECTOR        the kernel's name, its lanes, its type of vector
 *   HF_LOAD(at), HF_STORE(at, x)        a vector of 32-bit words in memory
 *   HF_WORDS(bytes, offset, words)      the sixteen message words of all lanes at an offset, transposed
 *   HF_SET(x), HF_ADD, HF_ROTATE        32-bit arithmetic
 *   HF_F, HF_H, HF_I(b, c, d)           the functions of three rounds
 *   HF_G(x, b, c, d)                    x plus the function of the second, b added last
 *   HF_LATE(x)                          keeps the compiler from adding in another order (md5_scalar.h says why)
 */
#include "md5_rounds.h"

#define HF_STEP(x, a, b, word, constant, shift)                    \
  a = HF_ADD(a, HF_ADD(words[word], HF_SET((int)(constant))));     \
  HF_LATE(a);                                                      \
  a = x;                                                           \
  a = HF_ADD(HF_ROTATE(a, shift), b);

#define HF_STEP_F(a, b, c, d, word, constant, shift) HF_STEP(HF_ADD(a, HF_F(b, c, d)), a, b, word, constant, shift)
#define HF_STEP_G(a, b, c, d, word, constant, shift) HF_STEP(HF_G(a, b, c, d), a, b, word, constant, shift)
#define HF_STEP_H(a, b, c, d, word, constant, shift) HF_STEP(HF_ADD(a, HF_H(b, c, d)), a, b, word, constant, shift)
#define HF_STEP_I(a, b, c, d, word, constant, shift) HF_STEP(HF_ADD(a, HF_I(b, c, d)), a, b, word, constant, shift)

void HF_NAME(uint32_t *const *states, const uint8_t *const *bytes, size_t blocks) {
  uint32_t lanes[4][HF_LANES];
  for (int lane = 0; lane < HF_LANES; lane++) {
    for (int i = 0; i < 4; i++) lanes[i][lane] = states[lane][i];
  }
  HF_VECTOR a = HF_LOAD(lanes[0]), b = HF_LOAD(lanes[1]), c = HF_LOAD(lanes[2]), d = HF_LOAD(lanes[3]);
  for (size_t offset = 0; offset < 64 * blocks; offset += 64) {
    HF_VECTOR before_a = a, before_b = b, before_c = c, before_d = d, words[16];
    HF_WORDS(bytes, offset, words);
    HF_MD5_ROUND_1(HF_STEP_F)
    HF_MD5_ROUND_2(HF_STEP_G)
    HF_MD5_ROUND_3(HF_STEP_H)
    HF_MD5_ROUND_4(HF_STEP_I)
    a = HF_ADD(a, before_a);
    b = HF_ADD(b, before_b);
    c = HF_ADD(c, before_c);
    d = HF_ADD(d, before_d);
  }
  HF_STORE(lanes[0], a);
  HF_STORE(lanes[1], b);
  HF_STORE(lanes[2], c);
  HF_STORE(lanes[3], d);
  for (int lane = 0; lane < HF_LANES; lane++) {
    for (int i = 0; i < 4; i++) states[lane][i] = lanes[i][lane];
  }
}

#undef HF_STEP
#undef HF_STEP_F
#undef HF_STEP_G
#undef HF_STEP_H
#undef HF_STEP_I
#undef HF_NAME
#undef HF_LANES
#undef HF_VECTOR
#undef HF_LOAD
#undef HF_STORE
#undef HF_WORDS
#undef HF_SET
#undef HF_ADD
#undef HF_ROTATE
