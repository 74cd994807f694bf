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
  uint8_t *expected = trial_area(trial, total), *got = trial_area(trial, total);
  size_t at = 0;
  for (size_t i = 0; i < count; at += parts[i++].iov_len) memcpy(expected + at, parts[i].iov_base, parts[i].iov_len);
  hf_append_result result = hf_append(file, position, parts, count, path);
  trial_expect(trial, result.error == 0 && result.there, "an append failed");
  size_t half = total / 2;
  const hf_read_piece pieces[] = {{file, position, got, half}, {file, position + half, got + half, total - half}};
  trial_expect(trial, hf_read_pieces(pieces, 2, 0, &error) == 2, "a read failed");
  trial_expect(trial, total == 0 || memcmp(got, expected, total) == 0, "what was read is not what was appended");
  const hf_read_piece beyond = {file, position + total, trial_area(trial, 1), 1};
  trial_expect(trial, hf_read_pieces(&beyond, 1, 0, &error) == 0 && error == 0, "a read went beyond the end");
  unlink(path);
  trial_expect(trial, hf_append(file, 0, parts, 0, path).there == 0, "a file without a name was there");
  close(file);
  trial_expect(trial, hf_append(file, 0, parts, 0, path).failed_at == HF_APPEND_SYNC, "a closed file was synced");
  const hf_read_piece closed = {file, 0, trial_area(trial, 1), 1};
  trial_expect(trial, hf_read_pieces(&closed, 1, 0, &error) == 0 && error == EBADF, "a closed file was read");
}

const check files_checks[] = {{"append and read", append_and_read, 6}, {NULL, NULL, 0}};
