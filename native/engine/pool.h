/*
 * A pool of native threads with a first-in-first-out queue. Threads start when there is work for them and stay. What is queued is
 * bounded by who submits (src/base/nativejobs.ts).
 */
#ifndef HF_POOL_H
#define HF_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "../kernels/gcm.h"

/* What a thread keeps between jobs. */
typedef struct {
  hf_gcm *sealer; /* NULL when the process has no OpenSSL to use */
  hf_gcm *opener;
  uint8_t *staging; /* of HF_STAGING_BYTES, aligned to pages; made by who needs it first */
} hf_worker;

#define HF_STAGING_BYTES (1024 * 1024)

typedef struct hf_task {
  void (*run)(struct hf_task *task, hf_worker *worker);
  struct hf_task *next;
} hf_task;

typedef struct hf_pool hf_pool;

/* At most `threads_max` threads. NULL without memory. */
hf_pool *hf_pool_new(const char *name, size_t threads_max);

/* Returns 0 when the task cannot be taken: the pool is closing, or no thread could be started. */
int hf_pool_submit(hf_pool *pool, hf_task *task);

/* Whether tasks wait for a thread. For long tasks that could give way. */
int hf_pool_busy(hf_pool *pool);

/* Runs what was submitted to its end, then ends the threads and frees the pool. */
void hf_pool_close(hf_pool *pool);

#endif
