#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct hf_pool {
  pthread_mutex_t mutex;
  pthread_cond_t wanted;
  hf_task *first;
  hf_task **last;
  size_t waiting;
  size_t idle;
  size_t started;
  size_t threads_max;
  int closing;
  const char *name;
  pthread_t threads[];
};

hf_pool *hf_pool_new(const char *name, size_t threads_max) {
  hf_pool *pool = calloc(1, sizeof *pool + threads_max * sizeof(pthread_t));
  if (pool == NULL) return NULL;
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->wanted, NULL);
  pool->last = &pool->first;
  pool->threads_max = threads_max;
  pool->name = name;
  return pool;
}

static hf_task *take(hf_pool *pool) {
  pthread_mutex_lock(&pool->mutex);
  pool->idle++;
  while (pool->first == NULL && !pool->closing) pthread_cond_wait(&pool->wanted, &pool->mutex);
  pool->idle--;
  hf_task *task = pool->first;
  if (task != NULL) {
    pool->first = task->next;
    if (pool->first == NULL) pool->last = &pool->first;
    pool->waiting--;
  }
  pthread_mutex_unlock(&pool->mutex);
  return task;
}

static void *work(void *argument) {
  hf_pool *pool = argument;
  hf_worker worker = {hf_gcm_new(HF_GCM_SEAL), hf_gcm_new(HF_GCM_OPEN), NULL};
#if defined(__linux__)
  pthread_setname_np(pthread_self(), pool->name);
#endif
  for (hf_task *task = take(pool); task != NULL; task = take(pool)) task->run(task, &worker);
  hf_gcm_free(worker.sealer);
  hf_gcm_free(worker.opener);
  free(worker.staging);
  return NULL;
}

/* Signals are the main thread's to handle. */
static int start_thread(hf_pool *pool) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int started = pthread_create(&pool->threads[pool->started], NULL, work, pool) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (started) pool->started++;
  return started;
}

int hf_pool_submit(hf_pool *pool, hf_task *task) {
  pthread_mutex_lock(&pool->mutex);
  int accepted = !pool->closing;
  if (accepted && pool->waiting + 1 > pool->idle && pool->started < pool->threads_max) {
    if (!start_thread(pool) && pool->started == 0) accepted = 0;
  }
  if (accepted) {
    task->next = NULL;
    *pool->last = task;
    pool->last = &task->next;
    pool->waiting++;
    pthread_cond_signal(&pool->wanted);
  }
  pthread_mutex_unlock(&pool->mutex);
  return accepted;
}

int hf_pool_busy(hf_pool *pool) {
  pthread_mutex_lock(&pool->mutex);
  int busy = pool->waiting > pool->idle;
  pthread_mutex_unlock(&pool->mutex);
  return busy;
}

void hf_pool_close(hf_pool *pool) {
  pthread_mutex_lock(&pool->mutex);
  pool->closing = 1;
  pthread_cond_broadcast(&pool->wanted);
  pthread_mutex_unlock(&pool->mutex);
  for (size_t i = 0; i < pool->started; i++) pthread_join(pool->threads[i], NULL);
  pthread_mutex_destroy(&pool->mutex);
  pthread_cond_destroy(&pool->wanted);
  free(pool);
}
