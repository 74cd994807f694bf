#include "receiver.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#if defined(__linux__)

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_LOOK 64
/* Wakes when this much is there: fewer, longer copies. The kernel makes room for it. */
#define LOW_WATER_BYTES (256 * 1024)
/* One socket gives way to the others after this much. */
#define BYTES_PER_TURN (4 * 1024 * 1024)
#define NS_PER_MS UINT64_C(1000000)

struct hf_receiver {
  pthread_mutex_t mutex;
  pthread_t thread;
  int started;
  int ending;
  int users; /* its owner, and every inlet */
  int poll;
  int wake;
  hf_receive *under_way;
};

struct hf_inlet {
  hf_receiver *receiver;
  int socket;
  int closed;
  hf_receive *receive; /* guarded by the receiver's mutex, as `closed` is */
};

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

hf_receiver *hf_receiver_new(void) {
  hf_receiver *receiver = calloc(1, sizeof *receiver);
  if (receiver == NULL) return NULL;
  receiver->users = 1;
  receiver->poll = epoll_create1(EPOLL_CLOEXEC);
  receiver->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (receiver->poll >= 0 && receiver->wake >= 0 && epoll_ctl(receiver->poll, EPOLL_CTL_ADD, receiver->wake, &event) == 0 &&
      pthread_mutex_init(&receiver->mutex, NULL) == 0) {
    return receiver;
  }
  if (receiver->poll >= 0) close(receiver->poll);
  if (receiver->wake >= 0) close(receiver->wake);
  free(receiver);
  return NULL;
}

static void wake(hf_receiver *receiver) {
  uint64_t one = 1;
  ssize_t written = write(receiver->wake, &one, sizeof one);
  (void)written; /* a full counter has woken it already */
}

/* The mutex is held. Takes the receive off its lists; the caller then reports it without the mutex. */
static void take_off(hf_receive *receive) {
  hf_receiver *receiver = receive->inlet->receiver;
  if (receive->previous != NULL) receive->previous->next = receive->next;
  else receiver->under_way = receive->next;
  if (receive->next != NULL) receive->next->previous = receive->previous;
  receive->inlet->receive = NULL;
}

static void release_receiver(hf_receiver *receiver) {
  if (__atomic_sub_fetch(&receiver->users, 1, __ATOMIC_ACQ_REL) > 0) return;
  close(receiver->poll);
  close(receiver->wake);
  pthread_mutex_destroy(&receiver->mutex);
  free(receiver);
}

static void free_inlet(hf_inlet *inlet) {
  hf_receiver *receiver = inlet->receiver;
  /* Closing would not take it off while the descriptor that it duplicates is open: one more would stay with each body of a connection. */
  epoll_ctl(receiver->poll, EPOLL_CTL_DEL, inlet->socket, NULL);
  close(inlet->socket);
  free(inlet);
  release_receiver(receiver);
}

static void set_low_water(const hf_inlet *inlet, size_t bytes) {
  int wanted = bytes < LOW_WATER_BYTES ? (int)bytes : LOW_WATER_BYTES;
  if (wanted < 1) wanted = 1;
  setsockopt(inlet->socket, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted);
}

/* Arms the socket for one event. */
static int arm(const hf_inlet *inlet) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.ptr = inlet->receive};
  if (epoll_ctl(inlet->receiver->poll, EPOLL_CTL_MOD, inlet->socket, &event) == 0) return 1;
  return errno == ENOENT && epoll_ctl(inlet->receiver->poll, EPOLL_CTL_ADD, inlet->socket, &event) == 0;
}

/* Takes what is there. Returns 1 when the receive has ended, 0 when it goes on waiting. */
static int take_in(hf_receive *receive, hf_receive_end *end) {
  size_t taken = 0;
  while (receive->filled < receive->length && taken < BYTES_PER_TURN) {
    ssize_t got = recv(receive->inlet->socket, receive->target + receive->filled, receive->length - receive->filled, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
    if (got <= 0) {
      *end = HF_RECEIVE_ENDED;
      return 1;
    }
    receive->filled += (size_t)got;
    taken += (size_t)got;
  }
  *end = HF_RECEIVE_FULL;
  return receive->filled == receive->length;
}

/* Reports the end of a receive that is off its lists. The socket is left as it was found. */
static void report(hf_receive *receive, hf_receive_end end) {
  hf_inlet *inlet = receive->inlet;
  hf_receiver *receiver = inlet->receiver;
  set_low_water(inlet, 1);
  pthread_mutex_lock(&receiver->mutex);
  int orphan = inlet->closed;
  inlet->receive = NULL;
  pthread_mutex_unlock(&receiver->mutex);
  if (orphan) free_inlet(inlet);
  receive->done(receive, end);
}

/*
 * Whether the receive of an event is still under way: it may have been taken off since by a deadline of the same look. Only this thread
 * takes any off, so one that is found stays.
 */
static int is_under_way(hf_receiver *receiver, const hf_receive *wanted) {
  pthread_mutex_lock(&receiver->mutex);
  const hf_receive *receive = receiver->under_way;
  while (receive != NULL && receive != wanted) receive = receive->next;
  pthread_mutex_unlock(&receiver->mutex);
  return receive != NULL;
}

static void on_event(hf_receiver *receiver, hf_receive *receive) {
  hf_receive_end end = HF_RECEIVE_ENDED;
  if (!is_under_way(receiver, receive)) return;
  int ended = take_in(receive, &end);
  if (!ended) {
    set_low_water(receive->inlet, receive->length - receive->filled);
    ended = !arm(receive->inlet);
  }
  if (!ended) return;
  pthread_mutex_lock(&receiver->mutex);
  take_off(receive);
  receive->inlet->receive = receive; /* keeps the inlet until it is reported */
  pthread_mutex_unlock(&receiver->mutex);
  report(receive, end);
}

/* The next receive that is late, closed, or to be ended because the receiver is; NULL when none is. Tells when the next will be late. */
static hf_receive *next_over(hf_receiver *receiver, hf_receive_end *end, int *wait_ms) {
  uint64_t now = now_ns();
  uint64_t nearest = UINT64_MAX;
  pthread_mutex_lock(&receiver->mutex);
  hf_receive *receive = receiver->under_way;
  while (receive != NULL && !receiver->ending && !receive->inlet->closed && receive->deadline_ns > now) {
    if (receive->deadline_ns < nearest) nearest = receive->deadline_ns;
    receive = receive->next;
  }
  if (receive != NULL) {
    *end = receiver->ending || receive->inlet->closed ? HF_RECEIVE_CLOSED : HF_RECEIVE_LATE;
    take_off(receive);
    receive->inlet->receive = receive;
  }
  pthread_mutex_unlock(&receiver->mutex);
  *wait_ms = nearest == UINT64_MAX ? -1 : (int)((nearest - now) / NS_PER_MS + 1);
  return receive;
}

static void end_over(hf_receiver *receiver, int *wait_ms) {
  hf_receive_end end;
  for (hf_receive *receive = next_over(receiver, &end, wait_ms); receive != NULL; receive = next_over(receiver, &end, wait_ms)) {
    struct epoll_event none = {.events = EPOLLONESHOT};
    epoll_ctl(receiver->poll, EPOLL_CTL_MOD, receive->inlet->socket, &none);
    /* What came below the low water counts. */
    hf_receive_end ignored;
    if (end == HF_RECEIVE_LATE && take_in(receive, &ignored)) end = ignored;
    report(receive, end);
  }
}

static int is_ending(hf_receiver *receiver) {
  pthread_mutex_lock(&receiver->mutex);
  int ending = receiver->ending;
  pthread_mutex_unlock(&receiver->mutex);
  return ending;
}

static void *look(void *argument) {
  hf_receiver *receiver = argument;
  pthread_setname_np(pthread_self(), "hf-receive");
  for (;;) {
    struct epoll_event events[EVENTS_PER_LOOK];
    int wait_ms = -1;
    /* Asked first: when it is ending, end_over has ended everything, and nothing more is taken. */
    int ending = is_ending(receiver);
    end_over(receiver, &wait_ms);
    if (ending) return NULL;
    int count = epoll_wait(receiver->poll, events, EVENTS_PER_LOOK, wait_ms);
    for (int i = 0; i < count; i++) {
      uint64_t counter;
      if (events[i].data.ptr != NULL) on_event(receiver, events[i].data.ptr);
      else if (read(receiver->wake, &counter, sizeof counter) < 0) continue;
    }
  }
}

static int start(hf_receiver *receiver) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  receiver->started = pthread_create(&receiver->thread, NULL, look, receiver) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return receiver->started;
}

void hf_receiver_free(hf_receiver *receiver) {
  pthread_mutex_lock(&receiver->mutex);
  receiver->ending = 1;
  pthread_mutex_unlock(&receiver->mutex);
  if (receiver->started) {
    wake(receiver);
    pthread_join(receiver->thread, NULL);
  }
  release_receiver(receiver);
}

hf_inlet *hf_inlet_open(hf_receiver *receiver, int descriptor) {
  hf_inlet *inlet = calloc(1, sizeof *inlet);
  if (inlet == NULL) return NULL;
  inlet->receiver = receiver;
  inlet->socket = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (inlet->socket < 0) {
    free(inlet);
    return NULL;
  }
  __atomic_add_fetch(&receiver->users, 1, __ATOMIC_ACQ_REL);
  return inlet;
}

void hf_inlet_close(hf_inlet *inlet) {
  hf_receiver *receiver = inlet->receiver;
  pthread_mutex_lock(&receiver->mutex);
  inlet->closed = 1;
  int busy = inlet->receive != NULL;
  pthread_mutex_unlock(&receiver->mutex);
  if (busy) wake(receiver);
  else free_inlet(inlet);
}

int hf_inlet_receive(hf_inlet *inlet, hf_receive *receive) {
  hf_receiver *receiver = inlet->receiver;
  receive->inlet = inlet;
  receive->deadline_ns = now_ns() + receive->wait_ms * NS_PER_MS;
  set_low_water(inlet, receive->length - receive->filled);
  pthread_mutex_lock(&receiver->mutex);
  int accepted = inlet->receive == NULL && !inlet->closed && !receiver->ending && (receiver->started || start(receiver));
  if (accepted) {
    receive->previous = NULL;
    receive->next = receiver->under_way;
    if (receive->next != NULL) receive->next->previous = receive;
    receiver->under_way = receive;
    inlet->receive = receive;
    accepted = arm(inlet);
    if (!accepted) take_off(receive);
  }
  pthread_mutex_unlock(&receiver->mutex);
  /* The deadline may be nearer than what the thread waits for. */
  if (accepted) wake(receiver);
  else set_low_water(inlet, 1);
  return accepted;
}

#else

hf_receiver *hf_receiver_new(void) {
  return NULL;
}

void hf_receiver_free(hf_receiver *receiver) {
  (void)receiver;
}

hf_inlet *hf_inlet_open(hf_receiver *receiver, int descriptor) {
  (void)receiver, (void)descriptor;
  return NULL;
}

void hf_inlet_close(hf_inlet *inlet) {
  (void)inlet;
}

int hf_inlet_receive(hf_inlet *inlet, hf_receive *receive) {
  (void)inlet, (void)receive;
  return 0;
}

#endif
