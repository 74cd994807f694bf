/*
 * The load generator in C: keep-alive HTTP/1.1 requests made and signed beforehand, one thread a connection. It shares the machine
 * with the server it measures, so it is built to cost next to nothing beside it:
 *
 * - Blocking calls, no event loop: two system calls a small request, and the kernel sleeps inside one call while a large body drains.
 * - Head and body leave in one sendmsg() from memory that all connections share. (sendfile() from a memory file saves the copy and
 *   costs a third more all the same: it hands out single pages.)
 * - Bodies of answers are counted and dropped in the kernel (MSG_TRUNC): nothing but their length is verified.
 *
 * Linux only; generator.ts does the same in JavaScript elsewhere. The plan comes on stdin:
 *
 *   HOST PORT CONNECTIONS BODY_BYTES REQUESTS_MAX DURATION_MS HEADS "\n"
 *   HEADS times: LENGTH "\n" followed by that many bytes, a request's head up to its empty line
 *   BODY_BYTES bytes, sent after every head
 *
 * The heads are used in turn. The result is one line of JSON on stdout (LoadResult of plan.ts).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
  BUFFER_BYTES = 128 * 1024,
  /* A server that says nothing for this long has failed. */
  SILENCE_SECONDS_MAX = 60,
  /* A connection gives up after as many transport failures in a row. */
  FAILURES_IN_A_ROW_MAX = 5,
  FAILURE_TEXT_BYTES = 160,
  CONNECTIONS_MAX = 4096,
};

typedef struct {
  char *bytes;
  size_t length;
} head;

static struct {
  struct sockaddr_storage address;
  socklen_t address_length;
  size_t connections;
  size_t body_bytes;
  uint64_t requests_max;
  uint64_t deadline_ns;
  size_t heads;
  head *head;
  char *body;
} plan;

static atomic_uint_fast64_t next_request;
static pthread_mutex_t failure_mutex = PTHREAD_MUTEX_INITIALIZER;
static char first_failure[FAILURE_TEXT_BYTES];

typedef struct {
  pthread_t thread;
  int socket;
  uint64_t failed;
  uint64_t bytes;
  uint64_t *latency_ns;
  size_t latencies;
  size_t latencies_max;
  char *buffer;
  size_t filled;
} connection;

/* What has been understood of an answer. */
typedef struct {
  int status;
  int chunked;
  int closes;
  int until_close;
  uint64_t length;
} answer;

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "load generator: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void *allocate(size_t bytes) {
  void *memory = malloc(bytes);
  if (memory == NULL) die("memory");
  return memory;
}

/* Keeps the first failure of all connections, without what would break a JSON string. */
static void note_failure(connection *c, const char *text, size_t length) {
  c->failed++;
  pthread_mutex_lock(&failure_mutex);
  if (first_failure[0] == '\0') {
    size_t kept = 0;
    for (size_t i = 0; i < length && kept < FAILURE_TEXT_BYTES - 1; i++) {
      unsigned char byte = (unsigned char)text[i];
      if (byte >= ' ' && byte < 127 && byte != '"' && byte != '\\') first_failure[kept++] = (char)byte;
    }
    first_failure[kept] = '\0';
  }
  pthread_mutex_unlock(&failure_mutex);
}

static void note_latency(connection *c, uint64_t ns) {
  if (c->latencies == c->latencies_max) {
    c->latencies_max = c->latencies_max == 0 ? 1024 : 2 * c->latencies_max;
    c->latency_ns = realloc(c->latency_ns, c->latencies_max * sizeof *c->latency_ns);
    if (c->latency_ns == NULL) die("memory");
  }
  c->latency_ns[c->latencies++] = ns;
}

static void disconnect(connection *c) {
  if (c->socket >= 0) close(c->socket);
  c->socket = -1;
}

static int reconnect(connection *c) {
  disconnect(c);
  int fd = socket(plan.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int on = 1;
  struct timeval silence = {.tv_sec = SILENCE_SECONDS_MAX};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence);
  if (connect(fd, (struct sockaddr *)&plan.address, plan.address_length) < 0) {
    close(fd);
    return -1;
  }
  c->socket = fd;
  return 0;
}

/* ---- Sending ---- */

/* Head and body, in as few calls as the socket takes: one, unless it is interrupted. */
static int send_request(int fd, const head *request) {
  struct iovec parts[2] = {{request->bytes, request->length}, {plan.body, plan.body_bytes}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  size_t left = request->length + plan.body_bytes;
  for (;;) {
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0) return -1;
    left -= (size_t)sent;
    if (left == 0) return 0;
    for (int i = 0; i < 2; i++) {
      size_t taken = (size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;
      parts[i].iov_base = (char *)parts[i].iov_base + taken;
      parts[i].iov_len -= taken;
      sent -= (ssize_t)taken;
    }
  }
}

/* ---- Receiving ---- */

/* Appends what has arrived to the buffer; 0 at the end of the stream or with a full buffer, -1 on failure. */
static ssize_t fill(connection *c) {
  ssize_t got = recv(c->socket, c->buffer + c->filled, BUFFER_BYTES - c->filled, 0);
  if (got > 0) c->filled += (size_t)got;
  return got;
}

static void drop_front(connection *c, size_t bytes) {
  c->filled -= bytes;
  memmove(c->buffer, c->buffer + bytes, c->filled);
}

static int parse_field(const char *line, size_t length, answer *a) {
  static const char content_length[] = "content-length:";
  static const char transfer_encoding[] = "transfer-encoding:";
  static const char connection_field[] = "connection:";
  const size_t lengths[] = {sizeof content_length - 1, sizeof transfer_encoding - 1, sizeof connection_field - 1};
  if (length > lengths[0] && strncasecmp(line, content_length, lengths[0]) == 0) {
    char *end;
    a->length = strtoull(line + lengths[0], &end, 10);
    a->until_close = 0;
    return end == line + lengths[0] ? -1 : 0;
  }
  if (length > lengths[1] && strncasecmp(line, transfer_encoding, lengths[1]) == 0) {
    a->chunked = 1;
    a->until_close = 0;
  }
  if (length > lengths[2] && strncasecmp(line, connection_field, lengths[2]) == 0)
    a->closes = memmem(line, length, "close", 5) != NULL;
  return 0;
}

/* Receives and parses a head; what follows it stays in the buffer. */
static int receive_head(connection *c, answer *a, char *status_line, size_t status_line_bytes) {
  char *end;
  c->filled = 0;
  do {
    if (fill(c) <= 0) return -1;
    end = memmem(c->buffer, c->filled, "\r\n\r\n", 4);
  } while (end == NULL);
  *a = (answer){.until_close = 1};
  if (end - c->buffer < 12 || memcmp(c->buffer, "HTTP/1.", 7) != 0) return -1;
  a->status = atoi(c->buffer + 9);
  char *line = memchr(c->buffer, '\r', c->filled);
  snprintf(status_line, status_line_bytes, "%.*s", (int)(line - c->buffer), c->buffer);
  while (line < end) {
    line += 2;
    char *line_end = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
    if (parse_field(line, (size_t)(line_end - line), a) < 0) return -1;
    line = line_end;
  }
  if (a->status == 204 || a->status == 304) a->until_close = 0;
  drop_front(c, (size_t)(end + 4 - c->buffer));
  return 0;
}

/* Counts and drops `bytes` of body, first of the buffer and then in the kernel. */
static int skip(connection *c, uint64_t bytes) {
  size_t buffered = bytes < c->filled ? (size_t)bytes : c->filled;
  drop_front(c, buffered);
  c->bytes += buffered;
  for (uint64_t left = bytes - buffered; left > 0;) {
    ssize_t got = recv(c->socket, NULL, left, MSG_TRUNC | MSG_WAITALL);
    if (got <= 0) return -1;
    left -= (uint64_t)got;
    c->bytes += (uint64_t)got;
  }
  return 0;
}

/* Takes a line of a chunked body out of the buffer and returns its value as a hexadecimal number, -1 on failure. */
static int64_t take_line(connection *c, size_t *length) {
  char *end;
  while ((end = memmem(c->buffer, c->filled, "\r\n", 2)) == NULL) {
    if (fill(c) <= 0) return -1;
  }
  *length = (size_t)(end - c->buffer);
  int64_t value = strtoll(c->buffer, NULL, 16);
  drop_front(c, *length + 2);
  return value;
}

static int skip_chunks(connection *c) {
  size_t line_bytes;
  for (;;) {
    int64_t chunk_bytes = take_line(c, &line_bytes);
    if (chunk_bytes < 0 || line_bytes == 0) return -1;
    if (chunk_bytes == 0) break;
    if (skip(c, (uint64_t)chunk_bytes) < 0) return -1;
    if (take_line(c, &line_bytes) < 0 || line_bytes != 0) return -1;
  }
  do {
    if (take_line(c, &line_bytes) < 0) return -1;
  } while (line_bytes > 0);
  return 0;
}

static int skip_until_close(connection *c) {
  ssize_t got;
  c->bytes += c->filled;
  c->filled = 0;
  while ((got = recv(c->socket, c->buffer, BUFFER_BYTES, 0)) > 0) c->bytes += (uint64_t)got;
  return got == 0 ? 0 : -1;
}

static int skip_body(connection *c, const answer *a) {
  if (a->chunked) return skip_chunks(c);
  if (a->until_close) return skip_until_close(c);
  return skip(c, a->length);
}

/* ---- Connections ---- */

/* One request and its answer. Returns -1 when the connection is of no more use and the request has no answer. */
static int exchange(connection *c, const head *request) {
  char status_line[FAILURE_TEXT_BYTES];
  answer a;
  uint64_t started_ns = now_ns();
  /* A server may refuse before it has read the body; its answer says more than the broken pipe. */
  int sent = send_request(c->socket, request);
  int error = errno;
  if (receive_head(c, &a, status_line, sizeof status_line) < 0) {
    const char *text = sent < 0 ? strerror(error) : "the answer broke off or is no HTTP/1.1";
    note_failure(c, text, strlen(text));
    return -1;
  }
  if (a.status >= 300) {
    note_failure(c, status_line, strlen(status_line));
    if (skip_body(c, &a) < 0 || sent < 0 || a.closes || a.until_close) disconnect(c);
    return 0;
  }
  if (sent < 0 || skip_body(c, &a) < 0 || c->filled > 0) {
    static const char text[] = "the body broke off or has the wrong length";
    note_failure(c, text, sizeof text - 1);
    return -1;
  }
  note_latency(c, now_ns() - started_ns);
  c->bytes += plan.body_bytes;
  if (a.closes || a.until_close) disconnect(c);
  return 0;
}

static void *run_connection(void *argument) {
  connection *c = argument;
  for (int failures = 0; failures < FAILURES_IN_A_ROW_MAX && now_ns() < plan.deadline_ns;) {
    uint64_t number = atomic_fetch_add_explicit(&next_request, 1, memory_order_relaxed);
    if (number >= plan.requests_max) break;
    if (c->socket < 0 && reconnect(c) < 0) {
      const char *text = strerror(errno);
      note_failure(c, text, strlen(text));
      failures++;
    } else if (exchange(c, &plan.head[number % plan.heads]) < 0) {
      disconnect(c);
      failures++;
    } else {
      failures = 0;
    }
  }
  disconnect(c);
  return NULL;
}

/* ---- Plan and result ---- */

static void read_exactly(char *to, size_t length) {
  if (fread(to, 1, length, stdin) != length) die("the plan is too short");
}

/* Returns how long the run may last. */
static uint64_t read_plan(void) {
  char host[256];
  char port[16];
  unsigned long long requests_max;
  unsigned long long duration_ms;
  if (scanf("%255s %15s %zu %zu %llu %llu %zu", host, port, &plan.connections, &plan.body_bytes, &requests_max,
            &duration_ms, &plan.heads) != 7 ||
      getchar() != '\n' || plan.heads == 0 || plan.connections == 0 || plan.connections > CONNECTIONS_MAX)
    die("the plan's first line");
  plan.requests_max = requests_max;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  struct addrinfo *found;
  if (getaddrinfo(host, port, &hints, &found) != 0) die("the host");
  memcpy(&plan.address, found->ai_addr, found->ai_addrlen);
  plan.address_length = found->ai_addrlen;
  freeaddrinfo(found);
  plan.head = allocate(plan.heads * sizeof *plan.head);
  for (size_t i = 0; i < plan.heads; i++) {
    if (scanf("%zu", &plan.head[i].length) != 1 || getchar() != '\n') die("the length of a head");
    plan.head[i].bytes = allocate(plan.head[i].length);
    read_exactly(plan.head[i].bytes, plan.head[i].length);
  }
  plan.body = allocate(plan.body_bytes + 1);
  read_exactly(plan.body, plan.body_bytes);
  return duration_ms * 1000000u;
}

static int ascending(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a;
  uint64_t y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static double percentile_ms(const uint64_t *sorted_ns, size_t count, double share) {
  if (count == 0) return 0;
  size_t at = (size_t)((double)count * share);
  return (double)sorted_ns[at < count ? at : count - 1] / 1e6;
}

static double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print_result(const connection *all, uint64_t elapsed_ns, double cpu) {
  size_t requests = 0;
  uint64_t failed = 0;
  uint64_t bytes = 0;
  for (size_t i = 0; i < plan.connections; i++) requests += all[i].latencies;
  uint64_t *latency_ns = allocate((requests + 1) * sizeof *latency_ns);
  size_t copied = 0;
  for (size_t i = 0; i < plan.connections; i++) {
    if (all[i].latencies > 0) memcpy(latency_ns + copied, all[i].latency_ns, all[i].latencies * sizeof *latency_ns);
    copied += all[i].latencies;
    failed += all[i].failed;
    bytes += all[i].bytes;
  }
  qsort(latency_ns, requests, sizeof *latency_ns, ascending);
  printf("{\"requests\":%zu,\"failed\":%llu,\"firstFailure\":\"%s\",\"bytes\":%llu,\"elapsedMs\":%.3f,"
         "\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"clientCpuSeconds\":%.4f}\n",
         requests, (unsigned long long)failed, first_failure, (unsigned long long)bytes, (double)elapsed_ns / 1e6,
         percentile_ms(latency_ns, requests, 0.5), percentile_ms(latency_ns, requests, 0.99), cpu);
}

int main(void) {
  uint64_t duration_ns = read_plan();
  connection *all = allocate(plan.connections * sizeof *all);
  double cpu_before = cpu_seconds();
  uint64_t started_ns = now_ns();
  plan.deadline_ns = started_ns + duration_ns;
  for (size_t i = 0; i < plan.connections; i++) {
    all[i] = (connection){.socket = -1, .buffer = allocate(BUFFER_BYTES)};
    if (pthread_create(&all[i].thread, NULL, run_connection, &all[i]) != 0) die("a thread");
  }
  for (size_t i = 0; i < plan.connections; i++) pthread_join(all[i].thread, NULL);
  print_result(all, now_ns() - started_ns, cpu_seconds() - cpu_before);
  return 0;
}
