#include "../../engine/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trial.h"

#define PARTS_MAX 1500 /* more than one pwritev takes */

static int new_file(char *path, size_t path_bytes) {
  const char *directory = getenv("TMPDIR");
  snprintf(path, path_bytes, "%s/holdfast-check-XXXXXX", directory != NULL ? directory : "/tmp");
  return mkstemp(path);
}

/* What was appended in parts is read in pieces. */
static void append_and_read(trial *trial) {
  char path[4096];
  struct iovec parts[PARTS_MAX];
  int file = new_file(path, sizeof path), error = 0;
  size_t count = trial_below(trial, PARTS_MAX + 1), total = 0;
  uint64_t position = trial_below(trial, 10000);
  trial_expect(trial, file >= 0, "no temporary file");
  if (file < 0) return;
  for (size_t i = 0; i < count; i++) {
    size_t length = trial_below(trial, 300);
    parts[i] = (struct iovec){trial_area(trial, length), length};
    total += length;
  }
  hf_worker worker = {NULL, NULL, NULL};
  /* A direct descriptor that takes no direct writes, or none at all: both end in the same bytes. */
  hf_append_target target = {file, trial_below(trial, 2) == 0 ? -1 : file, position};
  uint8_t *expected = trial_area(trial, total), *got = trial_area(trial, total);
  size_t at = 0;
  for (size_t i = 0; i < count; at += parts[i++].iov_len) memcpy(expected + at, parts[i].iov_base, parts[i].iov_len);
  hf_append_result result = hf_append(&target, parts, count, path, &worker);
  trial_expect(trial, result.error == 0 && result.there, "an append failed");
  size_t half = total / 2, failed = 0, split = trial_below(trial, total + 1);
  const hf_read_piece pieces[] = {{file, position, half}, {file, position + half, total - half}};
  trial_expect(trial, hf_read_range(pieces, 0, got, split, 0, &failed, &error), "a read failed");
  trial_expect(trial, hf_read_range(pieces, split, got + split, total - split, 0, &failed, &error), "a second read failed");
  trial_expect(trial, total == 0 || memcmp(got, expected, total) == 0, "what was read is not what was appended");
  const hf_read_piece beyond = {file, position + total, 1};
  trial_expect(trial, !hf_read_range(&beyond, 0, got, total > 0, 0, &failed, &error) || total == 0, "a read went beyond the end");
  trial_expect(trial, error == 0, "the end of a file is an error");
  unlink(path);
  trial_expect(trial, hf_append(&target, parts, 0, path, &worker).there == 0, "a file without a name was there");
  close(file);
  trial_expect(trial, hf_append(&target, parts, 0, path, &worker).failed_at == HF_APPEND_SYNC, "a closed file was synced");
  uint8_t byte;
  trial_expect(trial, !hf_read_range(&beyond, 0, &byte, 1, 0, &failed, &error) && error == EBADF, "a closed file was read");
  free(worker.staging);
}

const check files_checks[] = {{"append and read", append_and_read, 6}, {NULL, NULL, 0}};
