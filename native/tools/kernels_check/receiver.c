#include "../../engine/receiver.h"

#include "trial.h"

#if defined(__linux__)

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_BYTES 300000
#define SOON_MS 30
#define LONG_MS 20000
#define STOP_ROUNDS 250
#define STOP_INLETS_MAX 8

typedef struct {
  hf_receive receive; /* first, so that it can be told from it */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int is_over;
  hf_receive_end end;
} waiting;

static void on_done(hf_receive *receive, hf_receive_end end) {
  waiting *one = (waiting *)receive;
  pthread_mutex_lock(&one->mutex);
  one->is_over = 1;
  one->end = end;
  pthread_cond_signal(&one->changed);
  pthread_mutex_unlock(&one->mutex);
}

static void begin(waiting *one, uint8_t *target, size_t length, uint64_t wait_ms) {
  memset(one, 0, sizeof *one);
  one->receive = (hf_receive){.target = target, .length = length, .wait_ms = wait_ms, .done = on_done};
  pthread_mutex_init(&one->mutex, NULL);
  pthread_cond_init(&one->changed, NULL);
}

static hf_receive_end end_of(waiting *one) {
  pthread_mutex_lock(&one->mutex);
  while (!one->is_over) pthread_cond_wait(&one->changed, &one->mutex);
  pthread_mutex_unlock(&one->mutex);
  return one->end;
}

typedef struct {
  int socket;
  const uint8_t *bytes;
  size_t length;
} sending;

static void *send_all(void *argument) {
  sending *what = argument;
  for (size_t at = 0; at < what->length;) {
    ssize_t sent = send(what->socket, what->bytes + at, what->length - at, MSG_NOSIGNAL);
    if (sent <= 0) break;
    at += (size_t)sent;
  }
  return NULL;
}

/* A target that is filled, one that is late, and what comes when the peer has ended. */
static void full_late_ended(trial *trial) {
  int pair[2];
  trial_expect(trial, socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "no sockets");
  hf_receiver *receiver = hf_receiver_new();
  hf_inlet *inlet = hf_inlet_open(receiver, pair[0]);
  const uint8_t *body = trial_area(trial, BODY_BYTES);
  uint8_t *target = trial_area(trial, BODY_BYTES);
  waiting full, late, ended;
  sending what = {pair[1], body, BODY_BYTES};
  pthread_t sender;
  pthread_create(&sender, NULL, send_all, &what);
  begin(&full, target, BODY_BYTES, LONG_MS);
  trial_expect(trial, hf_inlet_receive(inlet, &full.receive), "a receive was refused");
  trial_expect(trial, end_of(&full) == HF_RECEIVE_FULL && full.receive.filled == BODY_BYTES, "not full");
  trial_expect(trial, memcmp(body, target, BODY_BYTES) == 0, "other bytes came");
  pthread_join(sender, NULL);
  what.length = 1 + trial_below(trial, 1000);
  send_all(&what);
  begin(&late, target, BODY_BYTES, SOON_MS);
  trial_expect(trial, hf_inlet_receive(inlet, &late.receive), "a second receive was refused");
  trial_expect(trial, end_of(&late) == HF_RECEIVE_LATE && late.receive.filled == what.length, "not late with what there was");
  send_all(&what);
  close(pair[1]);
  begin(&ended, target, BODY_BYTES, LONG_MS);
  trial_expect(trial, hf_inlet_receive(inlet, &ended.receive), "a third receive was refused");
  trial_expect(trial, end_of(&ended) == HF_RECEIVE_ENDED && ended.receive.filled == what.length, "not ended after what there was");
  hf_inlet_close(inlet);
  hf_receiver_free(receiver);
  close(pair[0]);
}

/* An inlet that is closed, or a receiver that is freed, ends what is under way; what waits no longer takes more. */
static void closed(trial *trial) {
  int pairs[2][2];
  uint8_t *target = trial_area(trial, 100);
  hf_receiver *receiver = hf_receiver_new();
  hf_inlet *inlets[2];
  waiting all[2], second;
  for (int i = 0; i < 2; i++) {
    trial_expect(trial, socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) == 0, "no sockets");
    inlets[i] = hf_inlet_open(receiver, pairs[i][0]);
    begin(&all[i], target, 100, LONG_MS);
    trial_expect(trial, hf_inlet_receive(inlets[i], &all[i].receive), "a receive was refused");
  }
  begin(&second, target, 100, LONG_MS);
  trial_expect(trial, !hf_inlet_receive(inlets[0], &second.receive), "two receives on one inlet");
  trial_expect(trial, hf_inlet_open(receiver, -1) == NULL, "an inlet of no socket");
  if (trial_below(trial, 2) == 0) usleep(1000);
  hf_inlet_close(inlets[0]);
  trial_expect(trial, end_of(&all[0]) == HF_RECEIVE_CLOSED, "an inlet that is closed goes on");
  hf_receiver_free(receiver);
  trial_expect(trial, end_of(&all[1]) == HF_RECEIVE_CLOSED, "a receiver that is freed goes on");
  hf_inlet_close(inlets[1]);
  for (int i = 0; i < 4; i++) close(pairs[i / 2][i % 2]);
}

/* Freed just when its thread looks for what is over: everything that was begun ends, and no descriptor stays open. */
static void stopped(trial *trial) {
  int pair[2];
  uint8_t *target = trial_area(trial, STOP_INLETS_MAX * 100);
  trial_expect(trial, socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "no sockets");
  int next_before = dup(pair[0]);
  close(next_before);
  for (int round = 0; round < STOP_ROUNDS; round++) {
    hf_receiver *receiver = hf_receiver_new();
    hf_inlet *inlets[STOP_INLETS_MAX];
    waiting all[STOP_INLETS_MAX];
    size_t count = 1 + trial_below(trial, STOP_INLETS_MAX);
    size_t closed_count = trial_below(trial, 2) == 0 ? 0 : count;
    for (size_t i = 0; i < count; i++) begin(&all[i], target + 100 * i, 100, LONG_MS);
    for (size_t i = 0; i < count; i++) {
      inlets[i] = hf_inlet_open(receiver, pair[0]);
      trial_expect(trial, hf_inlet_receive(inlets[i], &all[i].receive), "a receive was refused");
    }
    for (volatile size_t spin = trial_below(trial, 3000); spin > 0; spin--) {}
    for (size_t i = 0; i < closed_count; i++) hf_inlet_close(inlets[i]);
    hf_receiver_free(receiver);
    for (size_t i = 0; i < count; i++) {
      trial_expect(trial, all[i].is_over && all[i].end == HF_RECEIVE_CLOSED, "a receive outlived its receiver");
      if (i >= closed_count) hf_inlet_close(inlets[i]);
    }
  }
  int next = dup(pair[0]);
  trial_expect(trial, next == next_before, "a descriptor stayed open");
  close(next);
  close(pair[0]);
  close(pair[1]);
}

const check receiver_checks[] = {{"receiver", full_late_ended, 6}, {"receiver that is closed", closed, 12},
                                 {"receiver that is stopped at any moment", stopped, 4}, {NULL, NULL, 0}};

#else

const check receiver_checks[] = {{NULL, NULL, 0}};

#endif
