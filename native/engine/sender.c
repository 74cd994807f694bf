#include "sender.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: node has SIGPIPE ignored */
#endif

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Whether the socket takes more before `deadline_ms`. */
static int wait_for_room(int descriptor, uint64_t deadline_ms) {
  for (;;) {
    uint64_t now = now_ms();
    struct pollfd watched = {.fd = descriptor, .events = POLLOUT};
    if (now >= deadline_ms) return 0;
    int ready = poll(&watched, 1, (int)(deadline_ms - now));
    if (ready > 0) return 1;
    if (ready == 0 || errno != EINTR) return 0;
  }
}

size_t hf_send(int descriptor, const uint8_t *bytes, size_t length, uint64_t wait_ms, int *error) {
  uint64_t deadline_ms = now_ms() + wait_ms;
  size_t taken = 0;
  *error = 0;
  while (taken < length) {
    ssize_t sent = send(descriptor, bytes + taken, length - taken, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      taken += (size_t)sent;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      *error = errno;
      break;
    }
    if (!wait_for_room(descriptor, deadline_ms)) break;
  }
  close(descriptor);
  return taken;
}
