/*
 * Receives from sockets straight into memory, for large bodies: one thread waits for all of them (epoll) and copies each byte once. Works
 * on duplicates of descriptors, so that one that is closed meanwhile, and its number used again, is never read from. Linux only.
 */
#ifndef HF_RECEIVER_H
#define HF_RECEIVER_H

#include <stddef.h>
#include <stdint.h>

typedef struct hf_receiver hf_receiver;

/* One socket. Counts its users: its owner, and a receive under way. */
typedef struct hf_inlet hf_inlet;

typedef enum {
  HF_RECEIVE_FULL = 0,
  HF_RECEIVE_LATE,   /* the deadline passed; what is there counts */
  HF_RECEIVE_ENDED,  /* the peer sends no more, or the connection failed */
  HF_RECEIVE_CLOSED  /* hf_inlet_close was called */
} hf_receive_end;

typedef struct hf_receive {
  uint8_t *target;
  size_t length;
  size_t filled;
  uint64_t wait_ms;
  /* From the receiver's thread. */
  void (*done)(struct hf_receive *receive, hf_receive_end end);
  /* The receiver's own. */
  hf_inlet *inlet;
  uint64_t deadline_ns;
  struct hf_receive *next;
  struct hf_receive *previous;
} hf_receive;

/* NULL where there is no epoll, or no memory. The thread starts with the first receive. */
hf_receiver *hf_receiver_new(void);
/* Ends what is under way as closed, then the thread. */
void hf_receiver_free(hf_receiver *receiver);

/* NULL when the descriptor cannot be duplicated. */
hf_inlet *hf_inlet_open(hf_receiver *receiver, int descriptor);
/* A receive under way ends soon. The inlet is gone with it, or at once. */
void hf_inlet_close(hf_inlet *inlet);

/* Fills the target. One at a time on an inlet; returns 0 when there is one already, or no thread can be had. */
int hf_inlet_receive(hf_inlet *inlet, hf_receive *receive);

#endif
