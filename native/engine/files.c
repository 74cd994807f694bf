#include "files.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
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

typedef struct {
  struct iovec *parts;
  size_t count;
} part_list;

/* Takes `bytes` off the front. */
static void drop_front(part_list *list, size_t bytes) {
  while (list->count > 0 && bytes >= list->parts->iov_len) {
    bytes -= list->parts->iov_len;
    list->parts++;
    list->count--;
  }
  if (list->count > 0) {
    list->parts->iov_base = (uint8_t *)list->parts->iov_base + bytes;
    list->parts->iov_len -= bytes;
  }
}

/* Copies up to `room` bytes off the front; returns how many. */
static size_t copy_front(part_list *list, uint8_t *target, size_t room) {
  size_t copied = 0;
  while (copied < room && list->count > 0) {
    size_t bytes = list->parts->iov_len < room - copied ? list->parts->iov_len : room - copied;
    memcpy(target + copied, list->parts->iov_base, bytes);
    copied += bytes;
    drop_front(list, bytes);
  }
  return copied;
}

static int write_parts(int file, uint64_t position, part_list *list) {
  while (list->count > 0) {
    int count = list->count > IOV_MAX ? IOV_MAX : (int)list->count;
    ssize_t written = pwritev(file, list->parts, count, (off_t)position);
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (written == 0 && list->parts->iov_len > 0) return EIO;
    position += (uint64_t)written;
    drop_front(list, (size_t)written);
  }
  return 0;
}

static int write_bytes(int file, uint64_t position, const uint8_t *bytes, size_t length) {
  struct iovec part = {(void *)(uintptr_t)bytes, length};
  part_list list = {&part, 1};
  return write_parts(file, position, &list);
}

uint8_t *hf_staging(hf_worker *worker) {
  void *memory = NULL;
  if (worker->staging == NULL && posix_memalign(&memory, HF_DIRECT_ALIGNMENT, HF_STAGING_BYTES) == 0) worker->staging = memory;
  return worker->staging;
}

/*
 * Past the page cache: a copy into aligned memory costs a third of what the cache does, and what is written in such amounts is seldom read
 * soon. What a file system refuses for its alignment goes through the cache after all.
 */
static int write_direct(const hf_append_target *target, part_list *list, hf_worker *worker) {
  size_t before = (HF_DIRECT_ALIGNMENT - target->position % HF_DIRECT_ALIGNMENT) % HF_DIRECT_ALIGNMENT;
  uint64_t position = target->position + before;
  size_t bytes = copy_front(list, worker->staging, before);
  int error = bytes > 0 ? write_bytes(target->file, target->position, worker->staging, bytes) : 0;
  while (error == 0 && (bytes = copy_front(list, worker->staging, HF_STAGING_BYTES)) > 0) {
    error = write_bytes(target->direct, position, worker->staging, bytes);
    if (error == EINVAL) error = write_bytes(target->file, position, worker->staging, bytes);
    position += bytes;
  }
  return error;
}

hf_append_result hf_append(const hf_append_target *target, struct iovec *parts, size_t part_count, const char *witness,
                           hf_worker *worker) {
  struct stat status;
  part_list list = {parts, part_count};
  int direct = target->direct >= 0 && hf_staging(worker) != NULL;
  int error = direct ? write_direct(target, &list, worker) : write_parts(target->file, target->position, &list);
  if (error != 0) return (hf_append_result){HF_APPEND_WRITE, error, 0};
  if (sync_data(target->file) != 0) return (hf_append_result){HF_APPEND_SYNC, errno, 0};
  if (fstat(target->file, &status) != 0) return (hf_append_result){HF_APPEND_LOOK, errno, 0};
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

static int fill(int file, uint64_t position, uint8_t *target, size_t length, int cached_only, int *error) {
  size_t filled = 0;
  while (filled < length) {
    uint64_t at = position + filled;
    ssize_t got = cached_only ? read_cached(file, target + filled, length - filled, at)
                              : pread(file, target + filled, length - filled, (off_t)at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      *error = got < 0 ? errno : 0;
      return 0;
    }
    filled += (size_t)got;
  }
  return 1;
}

int hf_read_range(const hf_read_piece *pieces, uint64_t from, uint8_t *target, size_t length, int cached_only, size_t *failed, int *error) {
  size_t piece = 0;
  while (from >= pieces[piece].length && length > 0) from -= pieces[piece++].length;
  while (length > 0) {
    size_t bytes = pieces[piece].length - (size_t)from < length ? pieces[piece].length - (size_t)from : length;
    if (!fill(pieces[piece].file, pieces[piece].position + from, target, bytes, cached_only, error)) {
      *failed = piece;
      return 0;
    }
    target += bytes;
    length -= bytes;
    from = 0;
    piece++;
  }
  return 1;
}
