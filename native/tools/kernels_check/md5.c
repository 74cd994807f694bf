#include "../../kernels/md5.h"

#include <string.h>

#include "../../kernels/md5_plan.h"
#include "trial.h"

#define LENGTH_MAX 20000

static void alone(trial *trial, const uint8_t *bytes, size_t length, uint8_t digest[HF_MD5_BYTES]) {
  hf_md5 md5;
  size_t split = trial_below(trial, length + 1);
  hf_md5_init(&md5);
  hf_md5_update(&md5, trial_copy(trial, bytes, split), split);
  hf_md5_update(&md5, trial_copy(trial, bytes + split, length - split), length - split);
  hf_md5_final(&md5, digest);
}

/* Streams of any lengths side by side, in two rounds, by the planned kernels or by any one. */
static void side_by_side(trial *trial) {
  hf_md5 states[HF_MD5_LANES_MAX], *streams[HF_MD5_LANES_MAX];
  const uint8_t *bytes[HF_MD5_LANES_MAX], *firsts[HF_MD5_LANES_MAX], *seconds[HF_MD5_LANES_MAX];
  size_t lengths[HF_MD5_LANES_MAX], splits[HF_MD5_LANES_MAX], rests[HF_MD5_LANES_MAX];
  size_t count = trial_below(trial, HF_MD5_LANES_MAX + 1), usual = trial_length(trial, LENGTH_MAX);
  for (size_t i = 0; i < count; i++) {
    lengths[i] = trial_below(trial, 3) == 0 ? trial_length(trial, LENGTH_MAX) : usual;
    bytes[i] = trial_area(trial, lengths[i]);
    splits[i] = trial_below(trial, lengths[i] + 1);
    rests[i] = lengths[i] - splits[i];
    firsts[i] = trial_copy(trial, bytes[i], splits[i]);
    seconds[i] = trial_copy(trial, bytes[i] + splits[i], rests[i]);
    streams[i] = &states[i];
    hf_md5_init(&states[i]);
  }
  size_t kernels = 0;
  while (hf_md5_plan_kernel(kernels) != NULL) kernels++;
  /* A number of its own: levels have different numbers of kernels, and the trial must go on the same at all of them. */
  size_t only = trial_below(trial, 64) % (kernels + 1);
  hf_md5_plan_only(only == kernels ? SIZE_MAX : only);
  hf_md5_update_many(streams, firsts, splits, count);
  hf_md5_update_many(streams, seconds, rests, count);
  hf_md5_plan_only(SIZE_MAX);
  for (size_t i = 0; i < count; i++) {
    uint8_t digest[HF_MD5_BYTES], expected[HF_MD5_BYTES];
    hf_md5_final(&states[i], digest);
    alone(trial, bytes[i], lengths[i], expected);
    trial_expect(trial, memcmp(digest, expected, sizeof digest) == 0, "side by side is not alone");
    trial_note(trial, digest, sizeof digest);
  }
}

const check md5_checks[] = {{"md5", side_by_side, 250}, {NULL, NULL, 0}};
