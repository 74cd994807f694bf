#include "runtime.h"

#include <pthread.h>
#include <stdlib.h>

#include "modules.h"
#include "value.h"

#define THREADS_MAX 256

struct hf_runtime {
  napi_threadsafe_function callback;
  hf_pool *pools[2];
  hf_digests *digests;
  hf_receiver *receiver;
  hf_worker here; /* for jobs that run at once */
  size_t outstanding; /* touched by the thread of JavaScript only */
  pthread_mutex_t mutex;
  hf_job *done;
  hf_job **last_done;
};

hf_runtime *hf_runtime_get(napi_env env) {
  void *runtime = NULL;
  if (napi_get_instance_data(env, &runtime) == napi_ok && runtime != NULL) return runtime;
  napi_throw_error(env, "ERR_NOT_STARTED", "native jobs were not started on this thread");
  return NULL;
}

hf_digests *hf_runtime_digests(hf_runtime *runtime) {
  return runtime->digests;
}

hf_receiver *hf_runtime_receiver(hf_runtime *runtime) {
  if (runtime->receiver == NULL) runtime->receiver = hf_receiver_new();
  return runtime->receiver;
}

void *hf_job_new(napi_env env, napi_value id_value, size_t bytes) {
  uint64_t id = 0;
  napi_valuetype type = napi_undefined;
  hf_runtime *runtime = hf_runtime_get(env);
  if (runtime == NULL) return NULL;
  napi_typeof(env, id_value, &type);
  if (type != napi_undefined && !hf_get_size(env, id_value, "id", UINT32_MAX, &id)) return NULL;
  hf_job *job = calloc(1, bytes);
  if (job == NULL) {
    napi_throw_error(env, "ERR_MEMORY", "no memory for a native job");
    return NULL;
  }
  job->runtime = runtime;
  job->id = (uint32_t)id;
  job->now = type == napi_undefined;
  return job;
}

void *hf_job_new_with_id(napi_env env, napi_value id_value, size_t bytes) {
  hf_job *job = hf_job_new(env, id_value, bytes);
  if (job == NULL || !job->now) return job;
  hf_job_discard(job);
  hf_throw_type(env, "id", "a number");
  return NULL;
}

void hf_job_discard(void *job) {
  free(job);
}

void hf_job_begin(napi_env env, hf_job *job) {
  /* A process with work under way must not end for want of other handles. */
  if (job->runtime->outstanding++ == 0) napi_ref_threadsafe_function(env, job->runtime->callback);
}

static void end_job(napi_env env, hf_job *job) {
  if (--job->runtime->outstanding == 0) napi_unref_threadsafe_function(env, job->runtime->callback);
  free(job);
}

void hf_job_refused(napi_env env, hf_job *job) {
  if (job->refused != NULL) job->refused(job);
  end_job(env, job);
  napi_throw_error(env, "ERR_CLOSED", "native jobs are not taken any more");
}

static napi_value run_now(napi_env env, hf_job *job) {
  napi_value outcome;
  hf_worker *here = &job->runtime->here;
  if (here->sealer == NULL) here->sealer = hf_gcm_new(HF_GCM_SEAL);
  if (here->opener == NULL) here->opener = hf_gcm_new(HF_GCM_OPEN);
  job->task.run(&job->task, here);
  double value = job->value;
  if (job->code > 0) value = -(8.0 * job->code - HF_JOB_FILE_FAILED);
  else if (job->code < 0) value = -(8.0 * job->value - job->code);
  free(job);
  HF_NAPI(env, napi_create_double(env, value, &outcome));
  return outcome;
}

napi_value hf_job_submit(napi_env env, hf_job *job, hf_pool_kind pool, void (*run)(hf_task *, hf_worker *)) {
  job->task.run = run;
  if (job->now) return run_now(env, job);
  hf_job_begin(env, job);
  if (!hf_pool_submit(job->runtime->pools[pool], &job->task)) hf_job_refused(env, job);
  return NULL;
}

void hf_job_done(hf_job *job, int32_t code, double value) {
  hf_runtime *runtime = job->runtime;
  job->code = code;
  job->value = value;
  if (job->now) return;
  job->next_done = NULL;
  pthread_mutex_lock(&runtime->mutex);
  int first = runtime->done == NULL;
  *runtime->last_done = job;
  runtime->last_done = &job->next_done;
  /* Whoever finds the list empty wakes the event loop; what follows until it looks is taken along. Under the lock, so that it exists. */
  if (first) napi_call_threadsafe_function(runtime->callback, NULL, napi_tsfn_nonblocking);
  pthread_mutex_unlock(&runtime->mutex);
}

static hf_job *take_done(hf_runtime *runtime) {
  pthread_mutex_lock(&runtime->mutex);
  hf_job *jobs = runtime->done;
  runtime->done = NULL;
  runtime->last_done = &runtime->done;
  pthread_mutex_unlock(&runtime->mutex);
  return jobs;
}

static void free_jobs(hf_job *jobs) {
  while (jobs != NULL) {
    hf_job *next = jobs->next_done;
    free(jobs);
    jobs = next;
  }
}

/* On the thread of JavaScript: callback(id, code, value) for everything that is done. `env` is NULL while the thread is torn down. */
static void report_done(napi_env env, napi_value callback, void *context, void *data) {
  (void)data;
  hf_runtime *runtime = context;
  hf_job *jobs = take_done(runtime);
  napi_value undefined;
  if (env == NULL || napi_get_undefined(env, &undefined) != napi_ok) {
    free_jobs(jobs);
    return;
  }
  while (jobs != NULL) {
    hf_job *job = jobs;
    napi_value arguments[3];
    jobs = job->next_done;
    if (napi_create_uint32(env, job->id, &arguments[0]) == napi_ok && napi_create_int32(env, job->code, &arguments[1]) == napi_ok &&
        napi_create_double(env, job->value, &arguments[2]) == napi_ok) {
      napi_call_function(env, undefined, callback, 3, arguments, NULL);
    }
    end_job(env, job);
  }
}

/* Before the thread of JavaScript goes: what runs is run to its end, since it uses memory that goes with it. */
static void end_runtime(void *data) {
  hf_runtime *runtime = data;
  if (runtime->receiver != NULL) hf_receiver_free(runtime->receiver);
  hf_pool_close(runtime->pools[HF_POOL_COMPUTE]);
  hf_pool_close(runtime->pools[HF_POOL_FILES]);
  hf_digests_free(runtime->digests);
  hf_gcm_free(runtime->here.sealer);
  hf_gcm_free(runtime->here.opener);
  free(runtime->here.staging);
  free_jobs(take_done(runtime));
  napi_release_threadsafe_function(runtime->callback, napi_tsfn_abort);
}

static void free_runtime(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  hf_runtime *runtime = data;
  pthread_mutex_destroy(&runtime->mutex);
  free(runtime);
}

/* Of a runtime that was never started. */
static void discard_runtime(hf_runtime *runtime) {
  for (int i = 0; i < 2; i++) {
    if (runtime->pools[i] != NULL) hf_pool_close(runtime->pools[i]);
  }
  if (runtime->digests != NULL) hf_digests_free(runtime->digests);
  pthread_mutex_destroy(&runtime->mutex);
  free(runtime);
}

static hf_runtime *new_runtime(size_t compute_threads, size_t file_threads) {
  hf_runtime *runtime = calloc(1, sizeof *runtime);
  if (runtime == NULL) return NULL;
  runtime->last_done = &runtime->done;
  pthread_mutex_init(&runtime->mutex, NULL);
  runtime->pools[HF_POOL_COMPUTE] = hf_pool_new("hf-compute", compute_threads);
  runtime->pools[HF_POOL_FILES] = hf_pool_new("hf-files", file_threads);
  if (runtime->pools[HF_POOL_COMPUTE] != NULL) runtime->digests = hf_digests_new(runtime->pools[HF_POOL_COMPUTE]);
  if (runtime->digests != NULL && runtime->pools[HF_POOL_FILES] != NULL) return runtime;
  discard_runtime(runtime);
  return NULL;
}

/* start(computeThreads, fileThreads, callback(id, code, value)): once on each thread of JavaScript */
static napi_value start(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  napi_value name;
  uint64_t compute_threads = 0;
  uint64_t file_threads = 0;
  void *started = NULL;
  if (!hf_arguments(env, info, 3, arguments)) return NULL;
  if (!hf_get_size(env, arguments[0], "computeThreads", THREADS_MAX, &compute_threads)) return NULL;
  if (!hf_get_size(env, arguments[1], "fileThreads", THREADS_MAX, &file_threads)) return NULL;
  if (compute_threads == 0 || file_threads == 0) {
    hf_throw_range(env, "a pool", "needs a thread");
    return NULL;
  }
  napi_get_instance_data(env, &started);
  if (started != NULL) {
    napi_throw_error(env, "ERR_STARTED", "native jobs were started on this thread before");
    return NULL;
  }
  HF_NAPI(env, napi_create_string_utf8(env, "holdfast jobs", NAPI_AUTO_LENGTH, &name));
  hf_runtime *runtime = new_runtime((size_t)compute_threads, (size_t)file_threads);
  if (runtime == NULL) {
    napi_throw_error(env, "ERR_MEMORY", "no memory for native threads");
    return NULL;
  }
  if (napi_create_threadsafe_function(env, arguments[2], NULL, name, 0, 1, NULL, NULL, runtime, report_done, &runtime->callback) != napi_ok) {
    hf_throw_last(env);
    discard_runtime(runtime);
    return NULL;
  }
  napi_unref_threadsafe_function(env, runtime->callback);
  napi_set_instance_data(env, runtime, free_runtime, NULL);
  napi_add_env_cleanup_hook(env, end_runtime, runtime);
  return NULL;
}

int hf_define_runtime(napi_env env, napi_value exports) {
  static const hf_function functions[] = {{"start", start}};
  return hf_define(env, exports, functions, 1);
}
