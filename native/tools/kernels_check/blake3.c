#include "../../kernels/blake3.h"

#include <string.h>

#include "trial.h"

#define LENGTH_MAX 150000
#define MANY_MAX 80

static hf_blake3_params some_params(trial *trial) {
  const hf_blake3_mode modes[] = {HF_BLAKE3_HASH, HF_BLAKE3_KEYED, HF_BLAKE3_DERIVE_CONTEXT, HF_BLAKE3_DERIVE_KEY};
  hf_blake3_params params;
  hf_blake3_params_init(&params, modes[trial_below(trial, 4)], trial_area(trial, HF_BLAKE3_KEY_BYTES));
  return params;
}

static void one(trial *trial) {
  hf_blake3_params params = some_params(trial);
  size_t length = trial_length(trial, LENGTH_MAX), output_length = trial_length(trial, 500);
  uint8_t *output = trial_area(trial, output_length);
  hf_blake3(&params, trial_area(trial, length), length, output, output_length);
  trial_note(trial, output, output_length);
}

static void many(trial *trial) {
  hf_blake3_params params = some_params(trial);
  const uint8_t *inputs[MANY_MAX];
  size_t lengths[MANY_MAX], count = trial_below(trial, MANY_MAX + 1), usual = trial_length(trial, 2000);
  for (size_t i = 0; i < count; i++) {
    lengths[i] = trial_below(trial, 5) == 0 ? trial_length(trial, 5000) : usual;
    inputs[i] = trial_area(trial, lengths[i]);
  }
  uint8_t *outputs = trial_area(trial, count * HF_BLAKE3_BYTES);
  hf_blake3_many(&params, inputs, lengths, count, outputs);
  trial_note(trial, outputs, count * HF_BLAKE3_BYTES);
  for (size_t i = 0; i < count; i++) {
    uint8_t alone[HF_BLAKE3_BYTES];
    hf_blake3(&params, inputs[i], lengths[i], alone, sizeof alone);
    trial_expect(trial, memcmp(alone, outputs + i * HF_BLAKE3_BYTES, sizeof alone) == 0, "many is not each alone");
  }
}

/* A message in groups, one by one or several in a call, and in pieces of any length: its hash all the same. */
static void in_parts(trial *trial) {
  hf_blake3_params params = some_params(trial);
  size_t length = HF_BLAKE3_GROUP_BYTES + 1 + trial_length(trial, LENGTH_MAX), count = length / HF_BLAKE3_GROUP_BYTES;
  const uint8_t *message = trial_area(trial, length), *groups[16];
  uint64_t firsts[16];
  uint8_t whole[HF_BLAKE3_BYTES], grouped[HF_BLAKE3_BYTES], streamed[HF_BLAKE3_BYTES];
  uint8_t *values = trial_area(trial, count * HF_BLAKE3_BYTES);
  hf_blake3(&params, message, length, whole, sizeof whole);
  for (size_t done = 0; done < count;) {
    size_t some = 1 + trial_below(trial, count - done < 16 ? count - done : 16);
    for (size_t i = 0; i < some; i++) {
      groups[i] = trial_copy(trial, message + (done + i) * HF_BLAKE3_GROUP_BYTES, HF_BLAKE3_GROUP_BYTES);
      firsts[i] = (done + i) * (HF_BLAKE3_GROUP_BYTES / HF_BLAKE3_CHUNK_BYTES);
    }
    if (some == 1) hf_blake3_group(&params, groups[0], firsts[0], values + done * HF_BLAKE3_BYTES);
    else hf_blake3_groups(&params, groups, firsts, some, values + done * HF_BLAKE3_BYTES);
    done += some;
  }
  size_t rest = length - count * HF_BLAKE3_GROUP_BYTES;
  hf_blake3_from_groups(&params, values, trial_copy(trial, message + length - rest, rest), length, grouped);
  hf_blake3_stream stream;
  hf_blake3_stream_init(&stream, &params);
  for (size_t at = 0; at < length;) {
    size_t piece = trial_length(trial, length - at);
    hf_blake3_stream_update(&stream, trial_copy(trial, message + at, piece), piece);
    at += piece;
    if (trial->area_count > TRIAL_AREAS_MAX - 3) {
      hf_blake3_stream_update(&stream, message + at, length - at);
      break;
    }
  }
  hf_blake3_stream_final(&stream, streamed, sizeof streamed);
  trial_expect(trial, memcmp(whole, grouped, sizeof whole) == 0, "groups make another hash");
  trial_expect(trial, memcmp(whole, streamed, sizeof whole) == 0, "a stream makes another hash");
  trial_note(trial, whole, sizeof whole);
}

/* Outboard, proof of any leaf, and what a changed byte makes of it. */
static void proofs(trial *trial) {
  hf_blake3_params params = some_params(trial);
  size_t group_bytes = trial_below(trial, 2) == 0 ? HF_BLAKE3_CHUNK_BYTES : HF_BLAKE3_GROUP_BYTES;
  size_t length = trial_length(trial, LENGTH_MAX), nodes = hf_blake3_outboard_bytes(length, group_bytes);
  const uint8_t *message = trial_area(trial, length);
  uint8_t *outboard = trial_area(trial, nodes), root[HF_BLAKE3_BYTES], whole[HF_BLAKE3_BYTES];
  hf_blake3_outboard(&params, message, length, group_bytes, outboard, root);
  hf_blake3(&params, message, length, whole, sizeof whole);
  trial_expect(trial, memcmp(root, whole, sizeof root) == 0, "an outboard has another root");
  trial_note(trial, outboard, nodes);
  uint64_t leaf = trial_below(trial, (size_t)hf_blake3_leaves(length, group_bytes));
  size_t from = (size_t)leaf * group_bytes, leaf_bytes = length - from < group_bytes ? length - from : group_bytes;
  size_t path_bytes = hf_blake3_proof_bytes(length, group_bytes, leaf);
  uint8_t *path = trial_area(trial, path_bytes), *bytes = trial_copy(trial, message + from, leaf_bytes);
  hf_blake3_proof(outboard, length, group_bytes, leaf, path);
  int good = hf_blake3_verify_proof(&params, root, length, group_bytes, leaf, bytes, leaf_bytes, path, path_bytes);
  trial_expect(trial, good, "a proof was refused");
  size_t changed = trial_below(trial, leaf_bytes + path_bytes + HF_BLAKE3_BYTES);
  if (changed < leaf_bytes) bytes[changed] ^= 1;
  else if (changed < leaf_bytes + path_bytes) path[changed - leaf_bytes] ^= 1;
  else root[changed - leaf_bytes - path_bytes] ^= 1;
  good = hf_blake3_verify_proof(&params, root, length, group_bytes, leaf, bytes, leaf_bytes, path, path_bytes);
  trial_expect(trial, !good, "a changed byte was taken");
  hf_blake3_verify_proof(&params, root, length, group_bytes, leaf + 1, bytes, leaf_bytes, path, path_bytes);
  hf_blake3_verify_proof(&params, root, UINT64_MAX, group_bytes, UINT64_MAX, bytes, leaf_bytes, path, path_bytes);
}

const check blake3_checks[] = {{"blake3", one, 400},
                               {"blake3 of many", many, 150},
                               {"blake3 in parts", in_parts, 80},
                               {"blake3 proofs", proofs, 150},
                               {NULL, NULL, 0}};
