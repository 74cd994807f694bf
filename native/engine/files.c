#include "files.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

#if defined(__APPLE__)
#include <fcntl.h>
/* fsync does not reach the platters there; F_FULLFSYNC does. */
static int sync_data(int file) {
  return fcntl(file, F_FULLFSYNC) == -1 ? fsync(file) : 0;
}
#else
static int sync_data(int file) {
  return fdatasync(file);
}
#endif

static int write_all(int file, uint64_t position, struct iovec *parts, size_t part_count) {
  while (part_count > 0) {
    int count = part_count > IOV_MAX ? IOV_MAX : (int)part_count;
    ssize_t written = pwritev(file, parts, count, (off_t)position);
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (written == 0 && parts->iov_len > 0) return EIO;
    position += (uint64_t)written;
    while (part_count > 0 && (size_t)written >= parts->iov_len) {
      written -= (ssize_t)parts->iov_len;
      parts++;
      part_count--;
    }
    if (part_count > 0) {
      parts->iov_base = (uint8_t *)parts->iov_base + written;
      parts->iov_len -= (size_t)written;
    }
  }
  return 0;
}

hf_append_result hf_append(int file, uint64_t position, struct iovec *parts, size_t part_count, const char *witness) {
  struct stat status;
  int error = write_all(file, position, parts, part_count);
  if (error != 0) return (hf_append_result){HF_APPEND_WRITE, error, 0};
  if (sync_data(file) != 0) return (hf_append_result){HF_APPEND_SYNC, errno, 0};
  if (fstat(file, &status) != 0) return (hf_append_result){HF_APPEND_LOOK, errno, 0};
  if (status.st_nlink == 0) return (hf_append_result){HF_APPEND_DONE, 0, 0};
  if (access(witness, F_OK) == 0) return (hf_append_result){HF_APPEND_DONE, 0, 1};
  if (errno == ENOENT || errno == ENOTDIR) return (hf_append_result){HF_APPEND_DONE, 0, 0};
  return (hf_append_result){HF_APPEND_LOOK, errno, 0};
}

#if defined(RWF_NOWAIT)
static ssize_t read_cached(int file, uint8_t *target, size_t length, uint64_t position) {
  struct iovec part = {target, length};
  return preadv2(file, &part, 1, (off_t)position, RWF_NOWAIT);
}
#else
static ssize_t read_cached(int file, uint8_t *target, size_t length, uint64_t position) {
  (void)file, (void)target, (void)length, (void)position;
  errno = EAGAIN;
  return -1;
}
#endif

static int fill(const hf_read_piece *piece, int cached_only, int *error) {
  size_t filled = 0;
  while (filled < piece->length) {
    uint8_t *target = piece->target + filled;
    size_t length = piece->length - filled;
    uint64_t position = piece->position + filled;
    ssize_t got = cached_only ? read_cached(piece->file, target, length, position) : pread(piece->file, target, length, (off_t)position);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      *error = got < 0 ? errno : 0;
      return 0;
    }
    filled += (size_t)got;
  }
  return 1;
}

size_t hf_read_pieces(const hf_read_piece *pieces, size_t count, int cached_only, int *error) {
  size_t done = 0;
  *error = 0;
  while (done < count && fill(&pieces[done], cached_only, error)) done++;
  return done;
}
