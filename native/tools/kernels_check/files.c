#include "../../engine/files.h"

#include <errno.h>
#include <fcntl.h>
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

/* Now and then an append goes past the page cache: it then ends at a whole block. */
static int open_direct(trial *trial, const char *path) {
#if defined(O_DIRECT)
  return trial_below(trial, 2) == 0 ? open(path, O_WRONLY | O_DIRECT | O_CLOEXEC) : -1;
#else
  (void)trial, (void)path;
  return -1;
#endif
}

/* What was appended in parts is read in pieces. */
static void append_and_read(trial *trial) {
  char path[4096];
  struct iovec parts[PARTS_MAX];
  hf_worker worker = {NULL, NULL, NULL};
  int file = new_file(path, sizeof path), error = 0;
  size_t count = trial_below(trial, PARTS_MAX), total = 0, failed = 0;
  uint64_t position = trial_below(trial, 10000);
  trial_expect(trial, file >= 0, "no temporary file");
  if (file < 0) return;
  int direct = open_direct(trial, path);
  for (size_t i = 0; i < count; i++) {
    size_t length = trial_below(trial, 300);
    parts[i] = (struct iovec){trial_area(trial, length), length};
    total += length;
  }
  if (direct >= 0) {
    size_t rest = HF_DIRECT_ALIGNMENT - (size_t)((position + total) % HF_DIRECT_ALIGNMENT);
    parts[count++] = (struct iovec){trial_area(trial, rest), rest};
    total += rest;
  }
  uint8_t *expected = trial_area(trial, total), *got = trial_area(trial, total);
  size_t at = 0;
  for (size_t i = 0; i < count; at += parts[i++].iov_len) memcpy(expected + at, parts[i].iov_base, parts[i].iov_len);
  const hf_append_target target = {file, direct, position};
  hf_append_result result = hf_append(&target, parts, count, path, &worker);
  trial_expect(trial, result.error == 0 && result.there, "an append failed");
  size_t half = total / 2, from = trial_below(trial, total + 1);
  const hf_read_piece pieces[] = {{file, position, half}, {file, position + half, total - half}};
  trial_expect(trial, hf_read_range(pieces, from, got + from, total - from, 0, &failed, &error), "a read failed");
  trial_expect(trial, hf_read_range(pieces, 0, got, from, 0, &failed, &error), "a read failed");
  trial_expect(trial, total == 0 || memcmp(got, expected, total) == 0, "what was read is not what was appended");
  uint8_t *one = trial_area(trial, 1);
  const hf_read_piece beyond = {file, position + total, 1};
  trial_expect(trial, !hf_read_range(&beyond, 0, one, 1, 0, &failed, &error) && error == 0, "a read went beyond the end");
  unlink(path);
  const hf_append_target nothing = {file, -1, 0};
  trial_expect(trial, hf_append(&nothing, parts, 0, path, &worker).there == 0, "a file without a name was there");
  close(file);
  if (direct >= 0) close(direct);
  trial_expect(trial, hf_append(&nothing, parts, 0, path, &worker).failed_at == HF_APPEND_SYNC, "a closed file was synced");
  trial_expect(trial, !hf_read_range(&beyond, 0, one, 1, 0, &failed, &error) && error == EBADF, "a closed file was read");
  free(worker.staging);
}

const check files_checks[] = {{"append and read", append_and_read, 6}, {NULL, NULL, 0}};
