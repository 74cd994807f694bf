#include "md5.h"

#include <string.h>

#include "md5_plan.h"

void hf_md5_select(hf_level level) {
  hf_md5_plan(level);
}

void hf_md5_init(hf_md5 *md5) {
  *md5 = (hf_md5){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
}

/* Fills up the pending block as far as the bytes go; returns how many it took. */
static size_t fill(hf_md5 *md5, const uint8_t *bytes, size_t length) {
  size_t room = HF_MD5_BLOCK_BYTES - md5->pending_bytes;
  size_t taken = length < room ? length : room;
  if (taken > 0) memcpy(md5->pending + md5->pending_bytes, bytes, taken);
  md5->pending_bytes += (uint32_t)taken;
  return taken;
}

static void run_one(hf_md5 *md5, const uint8_t *bytes, size_t blocks) {
  uint32_t *state = md5->state;
  hf_md5_scalar_1(&state, &bytes, blocks);
}

void hf_md5_update(hf_md5 *md5, const uint8_t *bytes, size_t length) {
  md5->length += length;
  if (md5->pending_bytes > 0) {
    size_t taken = fill(md5, bytes, length);
    if (md5->pending_bytes < HF_MD5_BLOCK_BYTES) return;
    run_one(md5, md5->pending, 1);
    md5->pending_bytes = 0;
    bytes += taken;
    length -= taken;
  }
  size_t whole = length / HF_MD5_BLOCK_BYTES * HF_MD5_BLOCK_BYTES;
  if (whole > 0) run_one(md5, bytes, whole / HF_MD5_BLOCK_BYTES);
  if (length > whole) fill(md5, bytes + whole, length - whole);
}

void hf_md5_final(hf_md5 *md5, uint8_t digest[HF_MD5_BYTES]) {
  static const uint8_t padding[HF_MD5_BLOCK_BYTES] = {0x80};
  uint64_t bits = md5->length * 8;
  uint8_t length[8];
  for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> 8 * i);
  uint32_t to_length = (md5->pending_bytes < 56 ? 56 : 120) - md5->pending_bytes;
  hf_md5_update(md5, padding, to_length);
  hf_md5_update(md5, length, sizeof length);
  for (int i = 0; i < HF_MD5_BYTES; i++) digest[i] = (uint8_t)(md5->state[i / 4] >> 8 * (i % 4));
}

/* What one stream still has to take in: a block of its own first where one was pending, then those of the caller. */
typedef struct {
  hf_md5 *md5;
  const uint8_t *bytes;
  size_t length;
  int has_pending_block;
} intake;

static intake begin(hf_md5 *md5, const uint8_t *bytes, size_t length) {
  md5->length += length;
  size_t taken = md5->pending_bytes > 0 ? fill(md5, bytes, length) : 0;
  return (intake){md5, taken > 0 ? bytes + taken : bytes, length - taken, md5->pending_bytes == HF_MD5_BLOCK_BYTES};
}

static size_t blocks_in_a_row(const intake *in) {
  return in->has_pending_block ? 1 : in->length / HF_MD5_BLOCK_BYTES;
}

static void advance(intake *in, size_t blocks) {
  if (in->has_pending_block) {
    in->has_pending_block = 0;
    in->md5->pending_bytes = 0;
    return;
  }
  in->bytes += blocks * HF_MD5_BLOCK_BYTES;
  in->length -= blocks * HF_MD5_BLOCK_BYTES;
}

/* Runs `blocks` blocks of each stream, as many streams at a time as the plan says. */
static void run_together(intake *const *active, size_t count, size_t blocks) {
  uint32_t discarded[4] = {0};
  uint32_t *states[HF_MD5_LANES_MAX];
  const uint8_t *bytes[HF_MD5_LANES_MAX];
  for (size_t done = 0; done < count;) {
    const hf_md5_kernel *kernel = hf_md5_plan_for(count - done);
    for (size_t lane = 0; lane < kernel->width; lane++) {
      const intake *in = active[done + lane < count ? done + lane : done];
      states[lane] = done + lane < count ? in->md5->state : discarded;
      bytes[lane] = in->has_pending_block ? in->md5->pending : in->bytes;
    }
    kernel->run(states, bytes, blocks);
    done += kernel->width;
  }
  for (size_t i = 0; i < count; i++) advance(active[i], blocks);
}

void hf_md5_update_many(hf_md5 *const *streams, const uint8_t *const *bytes, const size_t *lengths, size_t count) {
  intake all[HF_MD5_LANES_MAX];
  for (size_t i = 0; i < count; i++) all[i] = begin(streams[i], bytes[i], lengths[i]);
  for (;;) {
    intake *active[HF_MD5_LANES_MAX];
    size_t active_count = 0, blocks = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
      size_t own = blocks_in_a_row(&all[i]);
      if (own == 0) continue;
      active[active_count++] = &all[i];
      if (own < blocks) blocks = own;
    }
    if (active_count == 0) break;
    run_together(active, active_count, blocks);
  }
  for (size_t i = 0; i < count; i++) {
    if (all[i].length > 0) fill(all[i].md5, all[i].bytes, all[i].length);
  }
}
