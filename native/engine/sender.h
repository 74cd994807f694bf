/* Sends to a socket that is set not to block, for large answers: from a pool's thread instead of the event loop. */
#ifndef HF_SENDER_H
#define HF_SENDER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Sends until all is taken or `wait_ms` have passed; closes `descriptor`, which is the caller's duplicate. Returns how much was taken.
 * `*error` is an errno when the connection failed, else 0.
 */
size_t hf_send(int descriptor, const uint8_t *bytes, size_t length, uint64_t wait_ms, int *error);

#endif
