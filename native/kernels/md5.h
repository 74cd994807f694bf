/*
 * MD5 (RFC 1321), one stream or many at once: the steps of one stream depend on each other, those of different streams do not, so up
 * to 16 go side by side in the lanes of vectors.
 */
#ifndef HF_MD5_H
#define HF_MD5_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

#define HF_MD5_BYTES 16
#define HF_MD5_BLOCK_BYTES 64
#define HF_MD5_LANES_MAX 16

void hf_md5_select(hf_level level);

typedef struct {
  uint32_t state[4];
  uint32_t pending_bytes; /* in `pending` */
  uint64_t length;        /* bytes taken in so far */
  uint8_t pending[HF_MD5_BLOCK_BYTES];
} hf_md5;

void hf_md5_init(hf_md5 *md5);
void hf_md5_update(hf_md5 *md5, const uint8_t *bytes, size_t length);
void hf_md5_final(hf_md5 *md5, uint8_t digest[HF_MD5_BYTES]);

/*
 * Takes bytes into `count` distinct streams (at most 16) at once. Lengths may differ and may be 0; whole blocks go side by side while at
 * least two streams have some, whatever is left goes alone.
 */
void hf_md5_update_many(hf_md5 *const *streams, const uint8_t *const *bytes, const size_t *lengths, size_t count);

#endif
