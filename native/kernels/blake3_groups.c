/* Groups of 16 chunks: what the storage engine hashes while a fragment's bytes are in the cache, and messages made of them. */
#include "blake3_tree.h"

#define GROUP_CHUNKS (HF_BLAKE3_GROUP_BYTES / HF_BLAKE3_CHUNK_BYTES)
#define TOGETHER 8

void hf_blake3_group(const hf_blake3_params *params, const uint8_t *group, uint64_t first_chunk, uint8_t chaining_value[32]) {
  if (hf_blake3_kernels_now->group != NULL) {
    hf_blake3_kernels_now->group(params->key, group, first_chunk, params->flags, chaining_value);
    return;
  }
  hf_blake3_groups(params, &group, &first_chunk, 1, chaining_value);
}

/* The chunks of several groups as one row, so that there are enough for all lanes. */
static void chunks_of_groups(const hf_blake3_params *params, const uint8_t *const *groups, const uint64_t *first_chunks,
                             size_t count, uint8_t *cvs) {
  const hf_blake3_kernels *const kernels = hf_blake3_kernels_now;
  const size_t chunks = count * GROUP_CHUNKS;
  const uint8_t *rows[HF_BLAKE3_LANES_MAX];
  uint64_t counters[HF_BLAKE3_LANES_MAX];
  hf_blake3_job job = hf_blake3_chunk_job(params, rows, counters);
  for (size_t done = 0; done < chunks; done += job.count) {
    job.count = chunks - done < kernels->lanes ? chunks - done : kernels->lanes;
    for (size_t lane = 0; lane < job.count; lane++) {
      const size_t group = (done + lane) / GROUP_CHUNKS, chunk = (done + lane) % GROUP_CHUNKS;
      rows[lane] = groups[group] + chunk * HF_BLAKE3_CHUNK_BYTES;
      counters[lane] = first_chunks[group] + chunk;
    }
    kernels->hash(&job, cvs + done * HF_BLAKE3_CV_BYTES);
  }
}

void hf_blake3_groups(const hf_blake3_params *params, const uint8_t *const *groups, const uint64_t *first_chunks, size_t count,
                      uint8_t *chaining_values) {
  uint8_t cvs[TOGETHER * GROUP_CHUNKS * HF_BLAKE3_CV_BYTES];
  for (size_t done = 0; done < count; done += TOGETHER) {
    const size_t some = count - done < TOGETHER ? count - done : TOGETHER;
    chunks_of_groups(params, groups + done, first_chunks + done, some, cvs);
    for (size_t left = some * GROUP_CHUNKS; left > some; left /= 2) hf_blake3_parents(params, cvs, left, cvs);
    memcpy(chaining_values + done * HF_BLAKE3_CV_BYTES, cvs, some * HF_BLAKE3_CV_BYTES);
  }
}

void hf_blake3_from_groups(const hf_blake3_params *params, const uint8_t *chaining_values, const uint8_t *rest, uint64_t length,
                           uint8_t output[32]) {
  const size_t rest_bytes = (size_t)(length % HF_BLAKE3_GROUP_BYTES), rests = rest_bytes > 0 ? 1 : 0;
  uint64_t groups = length / HF_BLAKE3_GROUP_BYTES;
  uint8_t cvs[(HF_BLAKE3_STRETCH + 1) * HF_BLAKE3_CV_BYTES];
  hf_blake3_output last;
  hf_blake3_tree tree;
  hf_blake3_tree_init(&tree);
  for (; groups + rests > HF_BLAKE3_STRETCH; groups -= HF_BLAKE3_STRETCH) {
    memcpy(cvs, chaining_values, HF_BLAKE3_STRETCH * HF_BLAKE3_CV_BYTES);
    chaining_values += HF_BLAKE3_STRETCH * HF_BLAKE3_CV_BYTES;
    hf_blake3_reduce(params, cvs, HF_BLAKE3_STRETCH, 1);
    hf_blake3_tree_push(params, &tree, cvs, HF_BLAKE3_STRETCH);
  }
  memcpy(cvs, chaining_values, (size_t)groups * HF_BLAKE3_CV_BYTES);
  if (rests > 0) {
    const uint64_t first_chunk = length / HF_BLAKE3_GROUP_BYTES * GROUP_CHUNKS;
    hf_blake3_leaf(params, rest, rest_bytes, first_chunk, cvs + groups * HF_BLAKE3_CV_BYTES);
  }
  if (tree.depth == 0) {
    hf_blake3_reduce(params, cvs, (size_t)groups + rests, 2);
    hf_blake3_parent_output(params, cvs, cvs + HF_BLAKE3_CV_BYTES, &last);
  } else {
    hf_blake3_reduce(params, cvs, (size_t)groups + rests, 1);
    hf_blake3_tree_root(params, &tree, cvs, &last);
  }
  hf_blake3_root_output(&last, output, HF_BLAKE3_BYTES);
}
