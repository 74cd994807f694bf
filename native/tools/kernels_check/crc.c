#include "../../kernels/crc.h"

#include "trial.h"

#define LENGTH_MAX 70000

/* Of a whole, continued over two parts, and combined from theirs. */
static void three(trial *trial) {
  size_t length = trial_length(trial, LENGTH_MAX), split = trial_below(trial, length + 1), rest = length - split;
  const uint8_t *all = trial_area(trial, length), *a = trial_copy(trial, all, split), *b = trial_copy(trial, all + split, rest);
  uint32_t crc32 = hf_crc32(0, all, length), crc32c = hf_crc32c(0, all, length);
  uint64_t crc64 = hf_crc64nvme(0, all, length);
  trial_expect(trial, hf_crc32(hf_crc32(0, a, split), b, rest) == crc32, "CRC-32 continued");
  trial_expect(trial, hf_crc32c(hf_crc32c(0, a, split), b, rest) == crc32c, "CRC-32C continued");
  trial_expect(trial, hf_crc64nvme(hf_crc64nvme(0, a, split), b, rest) == crc64, "CRC-64/NVME continued");
  trial_expect(trial, hf_crc32_combine(hf_crc32(0, a, split), hf_crc32(0, b, rest), rest) == crc32, "CRC-32 combined");
  trial_expect(trial, hf_crc32c_combine(hf_crc32c(0, a, split), hf_crc32c(0, b, rest), rest) == crc32c, "CRC-32C combined");
  trial_expect(trial, hf_crc64nvme_combine(hf_crc64nvme(0, a, split), hf_crc64nvme(0, b, rest), rest) == crc64, "CRC-64/NVME combined");
  trial_note(trial, &crc32, sizeof crc32);
  trial_note(trial, &crc32c, sizeof crc32c);
  trial_note(trial, &crc64, sizeof crc64);
}

static void enormous(trial *trial) {
  uint64_t length = UINT64_MAX - trial_below(trial, 100);
  uint32_t crc32 = hf_crc32_combine(1, 2, length), crc32c = hf_crc32c_combine(1, 2, length);
  uint64_t crc64 = hf_crc64nvme_combine(1, 2, length);
  trial_note(trial, &crc32, sizeof crc32);
  trial_note(trial, &crc32c, sizeof crc32c);
  trial_note(trial, &crc64, sizeof crc64);
}

const check crc_checks[] = {{"crc", three, 600}, {"crc of enormous lengths", enormous, 20}, {NULL, NULL, 0}};
