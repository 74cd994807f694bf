/* What a node does to its files, in one call each: an append that is durable, and reads of several places. */
#ifndef HF_FILES_H
#define HF_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "pool.h"

/* The step of an append at which an error came, since they mean different things (src/node/committer.ts). */
typedef enum { HF_APPEND_DONE = 0, HF_APPEND_WRITE, HF_APPEND_SYNC, HF_APPEND_LOOK } hf_append_step;

typedef struct {
  hf_append_step failed_at;
  int error; /* errno */
  int there; /* the file still has a name, and the witness is there */
} hf_append_result;

/* Where an append goes. */
typedef struct {
  int file;
  /* A second descriptor of the same file, opened with O_DIRECT, or -1. From the first multiple of HF_DIRECT_ALIGNMENT on, the append then
   * goes past the page cache, through `staging`; it must end at such a multiple. */
  int direct;
  uint64_t position;
} hf_append_target;

#define HF_DIRECT_ALIGNMENT 4096

/*
 * Writes all of `parts`, makes them durable, then looks whether file and `witness` are still there. Consumes `parts`. A direct write that
 * the file system does not take goes the ordinary way.
 */
hf_append_result hf_append(const hf_append_target *target, struct iovec *parts, size_t part_count, const char *witness,
                           hf_worker *worker);

typedef struct {
  int file;
  uint64_t position;
  size_t length;
} hf_read_piece;

/*
 * Fills `target` with `length` bytes from `from` on of what the pieces make up one behind the other; the pieces hold that much. Returns 1, or
 * 0 when piece `*failed` could not be read: `*error` is then its errno, or 0 when the file ended too early. `cached_only`: never waits
 * for a disk, EAGAIN instead (always, where the system cannot tell).
 */
int hf_read_range(const hf_read_piece *pieces, uint64_t from, uint8_t *target, size_t length, int cached_only, size_t *failed, int *error);

/* Memory of a worker that is aligned to pages; NULL without memory. */
uint8_t *hf_staging(hf_worker *worker);

#endif
