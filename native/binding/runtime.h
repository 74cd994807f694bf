/*
 * Jobs off the event loop. Each thread of JavaScript that calls `start` has a runtime of its own: a pool for computing, a pool for what
 * waits on files, and one callback through which everything comes back. Nothing here keeps JavaScript values alive: whoever submits
 * holds the memory until the callback has been called (src/base/nativejobs.ts).
 */
#ifndef HF_RUNTIME_H
#define HF_RUNTIME_H

#include <node_api.h>
#include <stdint.h>

#include "../engine/digest.h"
#include "../engine/pool.h"
#include "../engine/receiver.h"

typedef struct hf_runtime hf_runtime;

/* Codes of an outcome: 0, an errno, or one of these. */
enum {
  HF_JOB_OK = 0,
  HF_JOB_NO_MEMORY = -1,
  HF_JOB_CIPHER_FAILED = -2,
  HF_JOB_BAD_GEOMETRY = -3,
  HF_JOB_BAD_TAG = -4,    /* value: chunks that opened before it */
  HF_JOB_BAD_LENGTH = -5, /* no run of chunks has that length */
  HF_JOB_SHORT_READ = -6, /* value: index of the piece */
  HF_JOB_FILE_FAILED = -7, /* only in the answer of a job that ran at once; value: the errno */
  HF_JOB_CLOSED = -8      /* never of a job that runs at once */
};

typedef struct hf_job {
  hf_task task; /* first, so that a task is its job */
  struct hf_job *next_done;
  hf_runtime *runtime;
  uint32_t id;
  int now; /* to run at once, on the thread of JavaScript */
  void (*refused)(struct hf_job *job); /* or NULL: lets go of what the job has, when it will not run */
  int32_t code;
  double value;
} hf_job;

typedef enum { HF_POOL_COMPUTE, HF_POOL_FILES } hf_pool_kind;

/* Of this thread of JavaScript; throws and returns NULL when it was not started. */
hf_runtime *hf_runtime_get(napi_env env);

/*
 * A job of `bytes` bytes (the struct begins with hf_job), zeroed, with the id in `id_value`, or to run at once when that is undefined.
 * Throws and returns NULL when it cannot be made. It is freed after its callback, or by hf_job_discard when it is not submitted.
 */
void *hf_job_new(napi_env env, napi_value id_value, size_t bytes);
/* The same for what cannot run at once: throws without an id. */
void *hf_job_new_with_id(napi_env env, napi_value id_value, size_t bytes);
void hf_job_discard(void *job);

/*
 * Hands a job to a pool and returns undefined (NULL). Throws when it cannot be taken; the job is freed then. One that runs at once has
 * ended when this returns its outcome as a number: its value, or -(8 * value - code) with a code below 0.
 */
napi_value hf_job_submit(napi_env env, hf_job *job, hf_pool_kind pool, void (*run)(hf_task *, hf_worker *));

/* For what reaches a pool by another way: counts the job as outstanding, and takes that back when it was refused (throws, frees it). */
void hf_job_begin(napi_env env, hf_job *job);
void hf_job_refused(napi_env env, hf_job *job);

/* From whoever runs it: the job is done, and is not to be touched any more. */
void hf_job_done(hf_job *job, int32_t code, double value);

hf_digests *hf_runtime_digests(hf_runtime *runtime);
/* Made at the first call; NULL where there is none. */
hf_receiver *hf_runtime_receiver(hf_runtime *runtime);

#endif
