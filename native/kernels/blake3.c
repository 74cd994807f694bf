#include "blake3.h"

#include "blake3_kernels.h"
#include "blake3_tree.h"

const hf_blake3_kernels *hf_blake3_kernels_now = &hf_blake3_portable;

void hf_blake3_select(hf_level level) {
  hf_blake3_kernels_now = &hf_blake3_portable;
#if defined(__x86_64__)
  if (hf_level_has(level, HF_AVX512)) {
    hf_blake3_kernels_now = &hf_blake3_avx512;
  } else if (hf_level_has(level, HF_AVX2)) {
    hf_blake3_kernels_now = &hf_blake3_avx2;
  } else if (hf_level_has(level, HF_SSSE3)) {
    hf_blake3_kernels_now = &hf_blake3_ssse3;
  }
#elif defined(__aarch64__)
  if (hf_level_has(level, HF_NEON)) hf_blake3_kernels_now = &hf_blake3_neon;
#else
  (void)level;
#endif
}

void hf_blake3_params_init(hf_blake3_params *params, hf_blake3_mode mode, const uint8_t *key) {
  static const uint32_t iv[8] = {HF_BLAKE3_IV0, HF_BLAKE3_IV1, HF_BLAKE3_IV2, HF_BLAKE3_IV3,
                                 HF_BLAKE3_IV4, HF_BLAKE3_IV5, HF_BLAKE3_IV6, HF_BLAKE3_IV7};
  static const uint32_t flags[] = {[HF_BLAKE3_HASH] = 0,
                                   [HF_BLAKE3_KEYED] = HF_BLAKE3_KEYED_HASH,
                                   [HF_BLAKE3_DERIVE_CONTEXT] = HF_BLAKE3_DERIVE_KEY_CONTEXT,
                                   [HF_BLAKE3_DERIVE_KEY] = HF_BLAKE3_DERIVE_KEY_MATERIAL};
  params->flags = flags[mode];
  if (mode == HF_BLAKE3_HASH || mode == HF_BLAKE3_DERIVE_CONTEXT) {
    memcpy(params->key, iv, sizeof iv);
    return;
  }
  for (int i = 0; i < 8; i++) {
    params->key[i] = (uint32_t)key[4 * i] | (uint32_t)key[4 * i + 1] << 8 | (uint32_t)key[4 * i + 2] << 16 |
                     (uint32_t)key[4 * i + 3] << 24;
  }
}

/* The last compression of a message of more than one chunk. */
static void long_message(const hf_blake3_params *params, const uint8_t *input, size_t length, hf_blake3_output *output) {
  const size_t stretch_bytes = (size_t)HF_BLAKE3_STRETCH * HF_BLAKE3_CHUNK_BYTES;
  uint8_t cvs[HF_BLAKE3_STRETCH * HF_BLAKE3_CV_BYTES];
  hf_blake3_tree tree;
  hf_blake3_tree_init(&tree);
  for (; length > stretch_bytes; input += stretch_bytes, length -= stretch_bytes) {
    hf_blake3_reduce(params, cvs, hf_blake3_chunks(params, input, stretch_bytes, tree.leaves, cvs), 1);
    hf_blake3_tree_push(params, &tree, cvs, HF_BLAKE3_STRETCH);
  }
  const size_t count = hf_blake3_chunks(params, input, length, tree.leaves, cvs);
  if (tree.depth == 0) {
    hf_blake3_reduce(params, cvs, count, 2);
    hf_blake3_parent_output(params, cvs, cvs + HF_BLAKE3_CV_BYTES, output);
  } else {
    hf_blake3_reduce(params, cvs, count, 1);
    hf_blake3_tree_root(params, &tree, cvs, output);
  }
}

void hf_blake3(const hf_blake3_params *params, const uint8_t *input, size_t length, uint8_t *output, size_t output_bytes) {
  hf_blake3_output last;
  if (length <= HF_BLAKE3_CHUNK_BYTES) {
    hf_blake3_chunk_output(params, input, length, 0, &last);
  } else {
    long_message(params, input, length, &last);
  }
  hf_blake3_root_output(&last, output, output_bytes);
}

/* Messages of one chunk and one length side by side, at most as many as there are lanes, 32 bytes to each of `outputs`. */
static void short_messages(const hf_blake3_params *params, const uint8_t *const *inputs, size_t count, size_t length,
                           uint8_t *const *outputs) {
  const size_t blocks = length == 0 ? 1 : (length + HF_BLAKE3_BLOCK_BYTES - 1) / HF_BLAKE3_BLOCK_BYTES;
  const size_t before_tail = (blocks - 1) * HF_BLAKE3_BLOCK_BYTES, tail = length - before_tail;
  uint8_t tails[HF_BLAKE3_LANES_MAX * HF_BLAKE3_BLOCK_BYTES], cvs[HF_BLAKE3_LANES_MAX * HF_BLAKE3_CV_BYTES];
  if (tail < HF_BLAKE3_BLOCK_BYTES) {
    memset(tails, 0, count * HF_BLAKE3_BLOCK_BYTES);
    for (size_t i = 0; i < count && tail > 0; i++) memcpy(tails + i * HF_BLAKE3_BLOCK_BYTES, inputs[i] + before_tail, tail);
  }
  const hf_blake3_job job = {.key = params->key,
                             .inputs = inputs,
                             .count = count,
                             .blocks = blocks,
                             .tails = tail < HF_BLAKE3_BLOCK_BYTES ? tails : NULL,
                             .tail_bytes = (uint32_t)tail,
                             .flags = params->flags,
                             .start_flags = HF_BLAKE3_CHUNK_START,
                             .end_flags = HF_BLAKE3_CHUNK_END | HF_BLAKE3_ROOT};
  hf_blake3_kernels_now->hash(&job, cvs);
  for (size_t i = 0; i < count; i++) memcpy(outputs[i], cvs + i * HF_BLAKE3_CV_BYTES, HF_BLAKE3_BYTES);
}

/* Takes a window of messages and finds those of equal length in it, so their order does not matter much. */
#define WINDOW 64

static void window(const hf_blake3_params *params, const uint8_t *const *inputs, const size_t *lengths, size_t count,
                   uint8_t *outputs) {
  const size_t lanes = hf_blake3_kernels_now->lanes;
  uint64_t done = 0;
  for (size_t first = 0; first < count; first++) {
    if ((done >> first & 1) != 0) continue;
    const uint8_t *together[HF_BLAKE3_LANES_MAX];
    uint8_t *places[HF_BLAKE3_LANES_MAX];
    size_t found = 0;
    for (size_t i = first; i < count && found < lanes && lengths[first] <= HF_BLAKE3_CHUNK_BYTES; i++) {
      if ((done >> i & 1) != 0 || lengths[i] != lengths[first]) continue;
      together[found] = inputs[i];
      places[found++] = outputs + i * HF_BLAKE3_BYTES;
      done |= (uint64_t)1 << i;
    }
    if (found > 1) {
      short_messages(params, together, found, lengths[first], places);
    } else {
      hf_blake3(params, inputs[first], lengths[first], outputs + first * HF_BLAKE3_BYTES, HF_BLAKE3_BYTES);
    }
  }
}

void hf_blake3_many(const hf_blake3_params *params, const uint8_t *const *inputs, const size_t *lengths, size_t count,
                    uint8_t *outputs) {
  for (size_t at = 0; at < count; at += WINDOW)
    window(params, inputs + at, lengths + at, count - at < WINDOW ? count - at : WINDOW, outputs + at * HF_BLAKE3_BYTES);
}
