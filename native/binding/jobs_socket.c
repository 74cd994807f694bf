/* Receive jobs of large bodies (engine/receiver.h), send jobs of large answers (engine/sender.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../engine/receiver.h"
#include "../engine/sender.h"
#include "modules.h"
#include "runtime.h"
#include "value.h"

#define WAIT_MS_MAX 60000

static const napi_type_tag inlet_tag = {0x3b7c5e90a1d24f68, 0x91c0de27f5b83a4e};

/* What JavaScript holds; the inlet is gone once it was closed. */
typedef struct {
  hf_inlet *inlet;
} inlet_handle;

typedef struct {
  hf_job job;
  hf_receive receive;
} receive_job;

static void free_handle(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  inlet_handle *handle = data;
  if (handle->inlet != NULL) hf_inlet_close(handle->inlet);
  free(handle);
}

static inlet_handle *get_handle(napi_env env, napi_value value) {
  bool tagged = false;
  void *handle = NULL;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_object &&
      napi_check_object_type_tag(env, value, &inlet_tag, &tagged) == napi_ok && tagged && napi_unwrap(env, value, &handle) == napi_ok) {
    return handle;
  }
  hf_throw_type(env, "inlet", "made by inletOpen");
  return NULL;
}

/* inletOpen(descriptor) -> object, or undefined where sockets cannot be received from natively */
static napi_value inlet_open(napi_env env, napi_callback_info info) {
  napi_value argument;
  napi_value object;
  uint64_t descriptor = 0;
  if (!hf_arguments(env, info, 1, &argument) || !hf_get_size(env, argument, "descriptor", INT32_MAX, &descriptor)) return NULL;
  hf_runtime *runtime = hf_runtime_get(env);
  hf_receiver *receiver = runtime == NULL ? NULL : hf_runtime_receiver(runtime);
  if (receiver == NULL) return NULL;
  HF_NAPI(env, napi_create_object(env, &object));
  HF_NAPI(env, napi_type_tag_object(env, object, &inlet_tag));
  inlet_handle *handle = calloc(1, sizeof *handle);
  if (handle == NULL) return NULL;
  handle->inlet = hf_inlet_open(receiver, (int)descriptor);
  if (handle->inlet != NULL && napi_wrap(env, object, handle, free_handle, NULL, NULL) == napi_ok) return object;
  free_handle(env, handle, NULL);
  return NULL;
}

/* Value: twice the bytes that came, and one more when the peer sends no more. */
static void receive_done(hf_receive *receive, hf_receive_end end) {
  receive_job *job = (receive_job *)((char *)receive - offsetof(receive_job, receive));
  double value = 2.0 * (double)receive->filled + (end == HF_RECEIVE_ENDED ? 1 : 0);
  hf_job_done(&job->job, end == HF_RECEIVE_CLOSED ? HF_JOB_CLOSED : HF_JOB_OK, value);
}

/* inletReceive(id, inlet, target, waitMs): ends when the target is full, when waitMs have passed, or with the connection */
static napi_value inlet_receive(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  hf_bytes target;
  uint64_t wait_ms = 0;
  if (!hf_arguments(env, info, 4, arguments)) return NULL;
  inlet_handle *handle = get_handle(env, arguments[1]);
  if (handle == NULL || !hf_get_bytes(env, arguments[2], "target", &target) ||
      !hf_get_size(env, arguments[3], "waitMs", WAIT_MS_MAX, &wait_ms)) {
    return NULL;
  }
  if (target.length == 0) {
    hf_throw_range(env, "target", "is empty");
    return NULL;
  }
  receive_job *job = hf_job_new_with_id(env, arguments[0], sizeof *job);
  if (job == NULL) return NULL;
  job->receive = (hf_receive){.target = target.bytes, .length = target.length, .wait_ms = wait_ms, .done = receive_done};
  hf_job_begin(env, &job->job);
  if (handle->inlet == NULL || !hf_inlet_receive(handle->inlet, &job->receive)) hf_job_refused(env, &job->job);
  return NULL;
}

/* inletClose(inlet): a receive under way ends with HF_JOB_CLOSED */
static napi_value inlet_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  if (!hf_arguments(env, info, 1, &argument)) return NULL;
  inlet_handle *handle = get_handle(env, argument);
  if (handle != NULL && handle->inlet != NULL) {
    hf_inlet_close(handle->inlet);
    handle->inlet = NULL;
  }
  return NULL;
}

typedef struct {
  hf_job job;
  int descriptor;
  const uint8_t *bytes;
  size_t length;
  uint64_t wait_ms;
} send_job;

static void run_send(hf_task *task, hf_worker *worker) {
  (void)worker;
  send_job *job = (send_job *)task;
  int error = 0;
  size_t taken = hf_send(job->descriptor, job->bytes, job->length, job->wait_ms, &error);
  hf_job_done(&job->job, error, (double)taken);
}

static void send_refused(hf_job *job) {
  close(((send_job *)job)->descriptor);
}

/*
 * sendBytes(id, descriptor, bytes, waitMs) -> value: how many were taken, all of them unless waitMs passed. The job has a duplicate of the
 * descriptor, so that one that is closed meanwhile, and its number used again, is never written to.
 */
static napi_value send_bytes(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  hf_bytes bytes;
  uint64_t descriptor = 0;
  uint64_t wait_ms = 0;
  if (!hf_arguments(env, info, 4, arguments) || !hf_get_size(env, arguments[1], "descriptor", INT32_MAX, &descriptor) ||
      !hf_get_bytes(env, arguments[2], "bytes", &bytes) || !hf_get_size(env, arguments[3], "waitMs", WAIT_MS_MAX, &wait_ms)) {
    return NULL;
  }
  send_job *job = hf_job_new(env, arguments[0], sizeof *job);
  if (job == NULL) return NULL;
  job->bytes = bytes.bytes;
  job->length = bytes.length;
  job->wait_ms = wait_ms;
  job->job.refused = send_refused;
  job->descriptor = fcntl((int)descriptor, F_DUPFD_CLOEXEC, 0);
  if (job->descriptor >= 0) return hf_job_submit(env, &job->job, HF_POOL_FILES, run_send);
  hf_throw_range(env, "descriptor", errno == EMFILE ? "cannot be duplicated: too many are open" : "is not open");
  hf_job_discard(job);
  return NULL;
}

int hf_define_socket_jobs(napi_env env, napi_value exports) {
  static const hf_function functions[] = {{"inletOpen", inlet_open}, {"inletReceive", inlet_receive}, {"inletClose", inlet_close},
                                           {"sendBytes", send_bytes}};
  return hf_define(env, exports, functions, sizeof functions / sizeof *functions);
}
