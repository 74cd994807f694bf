#include "blake3_tree.h"

static void store_words(const uint32_t *words, size_t count, uint8_t *bytes) {
  for (size_t i = 0; i < count; i++) {
    bytes[4 * i] = (uint8_t)words[i];
    bytes[4 * i + 1] = (uint8_t)(words[i] >> 8);
    bytes[4 * i + 2] = (uint8_t)(words[i] >> 16);
    bytes[4 * i + 3] = (uint8_t)(words[i] >> 24);
  }
}

void hf_blake3_root_output(const hf_blake3_output *output, uint8_t *bytes, size_t output_bytes) {
  for (uint64_t counter = 0; output_bytes > 0; counter++) {
    uint32_t words[HF_BLAKE3_BLOCK_WORDS];
    hf_blake3_kernels_now->compress(output->cv, output->block, counter, output->block_bytes, output->flags | HF_BLAKE3_ROOT, words);
    uint8_t block[HF_BLAKE3_BLOCK_BYTES];
    store_words(words, HF_BLAKE3_BLOCK_WORDS, block);
    const size_t some = output_bytes < sizeof block ? output_bytes : sizeof block;
    memcpy(bytes, block, some);
    bytes += some;
    output_bytes -= some;
  }
}

static void output_cv(const hf_blake3_output *output, uint64_t counter, uint8_t cv[32]) {
  uint32_t words[HF_BLAKE3_BLOCK_WORDS];
  hf_blake3_kernels_now->compress(output->cv, output->block, counter, output->block_bytes, output->flags, words);
  store_words(words, HF_BLAKE3_CV_WORDS, cv);
}

void hf_blake3_chunk_output(const hf_blake3_params *params, const uint8_t *chunk, size_t length, uint64_t counter,
                            hf_blake3_output *output) {
  uint32_t state[HF_BLAKE3_BLOCK_WORDS];
  uint32_t flags = params->flags | HF_BLAKE3_CHUNK_START;
  memcpy(state, params->key, sizeof params->key);
  for (; length > HF_BLAKE3_BLOCK_BYTES; chunk += HF_BLAKE3_BLOCK_BYTES, length -= HF_BLAKE3_BLOCK_BYTES) {
    hf_blake3_kernels_now->compress(state, chunk, counter, HF_BLAKE3_BLOCK_BYTES, flags, state);
    flags = params->flags;
  }
  memcpy(output->cv, state, sizeof output->cv);
  memset(output->block + length, 0, sizeof output->block - length);
  if (length > 0) memcpy(output->block, chunk, length);
  output->block_bytes = (uint32_t)length;
  output->flags = flags | HF_BLAKE3_CHUNK_END;
}

void hf_blake3_parent_output(const hf_blake3_params *params, const uint8_t left[32], const uint8_t right[32],
                             hf_blake3_output *output) {
  memcpy(output->cv, params->key, sizeof output->cv);
  memcpy(output->block, left, HF_BLAKE3_CV_BYTES);
  memcpy(output->block + HF_BLAKE3_CV_BYTES, right, HF_BLAKE3_CV_BYTES);
  output->block_bytes = HF_BLAKE3_BLOCK_BYTES;
  output->flags = params->flags | HF_BLAKE3_PARENT;
}

void hf_blake3_parent(const hf_blake3_params *params, const uint8_t children[64], uint32_t more_flags, uint8_t cv[32]) {
  uint32_t words[HF_BLAKE3_BLOCK_WORDS];
  const uint32_t flags = params->flags | HF_BLAKE3_PARENT | more_flags;
  hf_blake3_kernels_now->compress(params->key, children, 0, HF_BLAKE3_BLOCK_BYTES, flags, words);
  store_words(words, HF_BLAKE3_CV_WORDS, cv);
}

size_t hf_blake3_chunks(const hf_blake3_params *params, const uint8_t *input, size_t length, uint64_t first_chunk, uint8_t *cvs) {
  const hf_blake3_kernels *const kernels = hf_blake3_kernels_now;
  const size_t whole = length / HF_BLAKE3_CHUNK_BYTES, part = length % HF_BLAKE3_CHUNK_BYTES;
  const uint8_t *rows[HF_BLAKE3_LANES_MAX];
  uint64_t counters[HF_BLAKE3_LANES_MAX];
  hf_blake3_job job = hf_blake3_chunk_job(params, rows, counters);
  for (size_t done = 0; done < whole; done += job.count) {
    job.count = whole - done < kernels->lanes ? whole - done : kernels->lanes;
    for (size_t lane = 0; lane < job.count; lane++) {
      rows[lane] = input + (done + lane) * HF_BLAKE3_CHUNK_BYTES;
      counters[lane] = first_chunk + done + lane;
    }
    kernels->hash(&job, cvs + done * HF_BLAKE3_CV_BYTES);
  }
  if (part == 0) return whole;
  hf_blake3_output last;
  hf_blake3_chunk_output(params, input + whole * HF_BLAKE3_CHUNK_BYTES, part, first_chunk + whole, &last);
  output_cv(&last, first_chunk + whole, cvs + whole * HF_BLAKE3_CV_BYTES);
  return whole + 1;
}

size_t hf_blake3_parents(const hf_blake3_params *params, const uint8_t *cvs, size_t count, uint8_t *above) {
  const hf_blake3_kernels *const kernels = hf_blake3_kernels_now;
  const size_t pairs = count / 2;
  const uint8_t *rows[HF_BLAKE3_LANES_MAX];
  hf_blake3_job job = {.key = params->key,
                       .inputs = rows,
                       .blocks = 1,
                       .tail_bytes = HF_BLAKE3_BLOCK_BYTES,
                       .flags = params->flags | HF_BLAKE3_PARENT};
  for (size_t done = 0; done < pairs; done += job.count) {
    job.count = pairs - done < kernels->lanes ? pairs - done : kernels->lanes;
    for (size_t lane = 0; lane < job.count; lane++) rows[lane] = cvs + (done + lane) * HF_BLAKE3_BLOCK_BYTES;
    kernels->hash(&job, above + done * HF_BLAKE3_CV_BYTES);
  }
  if (count % 2 == 0) return pairs;
  memmove(above + pairs * HF_BLAKE3_CV_BYTES, cvs + (count - 1) * HF_BLAKE3_CV_BYTES, HF_BLAKE3_CV_BYTES);
  return pairs + 1;
}

size_t hf_blake3_reduce(const hf_blake3_params *params, uint8_t *cvs, size_t count, size_t leave) {
  while (count > leave) count = hf_blake3_parents(params, cvs, count, cvs);
  return count;
}

void hf_blake3_leaf(const hf_blake3_params *params, const uint8_t *bytes, size_t length, uint64_t first_chunk, uint8_t cv[32]) {
  if (length == HF_BLAKE3_GROUP_BYTES) {
    hf_blake3_group(params, bytes, first_chunk, cv);
    return;
  }
  uint8_t cvs[HF_BLAKE3_GROUP_BYTES / HF_BLAKE3_CHUNK_BYTES * HF_BLAKE3_CV_BYTES];
  hf_blake3_reduce(params, cvs, hf_blake3_chunks(params, bytes, length, first_chunk, cvs), 1);
  memcpy(cv, cvs, HF_BLAKE3_CV_BYTES);
}

static unsigned count_ones(uint64_t number) {
  unsigned ones = 0;
  for (; number != 0; number &= number - 1) ones++;
  return ones;
}

void hf_blake3_tree_push(const hf_blake3_params *params, hf_blake3_tree *tree, const uint8_t cv[32], uint64_t leaves) {
  memcpy(tree->subtrees[tree->depth++], cv, HF_BLAKE3_CV_BYTES);
  tree->leaves += leaves;
  for (const unsigned complete = count_ones(tree->leaves); tree->depth > complete; tree->depth--)
    hf_blake3_parent(params, tree->subtrees[tree->depth - 2], 0, tree->subtrees[tree->depth - 2]);
}

void hf_blake3_tree_root(const hf_blake3_params *params, const hf_blake3_tree *tree, const uint8_t rest[32],
                         hf_blake3_output *output) {
  hf_blake3_parent_output(params, tree->subtrees[tree->depth - 1], rest, output);
  for (unsigned level = tree->depth - 1; level > 0; level--) {
    uint8_t right[HF_BLAKE3_CV_BYTES];
    output_cv(output, 0, right);
    hf_blake3_parent_output(params, tree->subtrees[level - 1], right, output);
  }
}
