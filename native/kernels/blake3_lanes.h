/*
 * BLAKE3 over LANES inputs at once, for whatever vector the including file defines; included once for each width, so without guard.
 *
 *   LANES                      how many 32-bit words a VECTOR has
 *   VECTOR                     its type
 *   NAME(x)                    x with the width's suffix
 *   ADD, XOR, SPLAT            on vectors; a vector of equal words
 *   LOAD_WORDS(pointer)        a vector from LANES words in memory
 *   ROTATE16, 12, 8, 7         every word to the right
 *   MESSAGE_STAYS(m)           IN_MEMORY(m), where the registers hold little more than the state; or nothing
 *   NAME(load_block)(rows, m)  transposes: word w of the 64 bytes at rows[l] goes to lane l of m[w]
 *   NAME(store_cvs)(h, cvs)    transposes back: lane l's eight words to cvs + 32 · l
 *
 * It defines NAME(compress_lanes), NAME(hash_lanes) and NAME(hash_job). The four mixes of a half round are written in step, since
 * each of them is one long chain of dependent instructions.
 */

/* GCC would turn (a + m) + b into a + (m + b), and b is what everything waits for: a tenth to a fifth of the speed. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-reassoc")
#endif

/* Makes the compiler read the message from memory in each round, instead of giving it registers and the state none. */
#define IN_MEMORY(m) __asm__("" : "+m"(*(VECTOR(*)[16])(m)));

#define HF_HALF(a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3, x0, x1, x2, x3, ROTATE_D, ROTATE_B) \
  v[a0] = ADD(v[a0], m[x0]);                                                                                        \
  v[a1] = ADD(v[a1], m[x1]);                                                                                        \
  v[a2] = ADD(v[a2], m[x2]);                                                                                        \
  v[a3] = ADD(v[a3], m[x3]);                                                                                        \
  v[a0] = ADD(v[a0], v[b0]);                                                                                        \
  v[a1] = ADD(v[a1], v[b1]);                                                                                        \
  v[a2] = ADD(v[a2], v[b2]);                                                                                        \
  v[a3] = ADD(v[a3], v[b3]);                                                                                        \
  v[d0] = ROTATE_D(XOR(v[d0], v[a0]));                                                                              \
  v[d1] = ROTATE_D(XOR(v[d1], v[a1]));                                                                              \
  v[d2] = ROTATE_D(XOR(v[d2], v[a2]));                                                                              \
  v[d3] = ROTATE_D(XOR(v[d3], v[a3]));                                                                              \
  v[c0] = ADD(v[c0], v[d0]);                                                                                        \
  v[c1] = ADD(v[c1], v[d1]);                                                                                        \
  v[c2] = ADD(v[c2], v[d2]);                                                                                        \
  v[c3] = ADD(v[c3], v[d3]);                                                                                        \
  v[b0] = ROTATE_B(XOR(v[b0], v[c0]));                                                                              \
  v[b1] = ROTATE_B(XOR(v[b1], v[c1]));                                                                              \
  v[b2] = ROTATE_B(XOR(v[b2], v[c2]));                                                                              \
  v[b3] = ROTATE_B(XOR(v[b3], v[c3]));

#define HF_COLUMNS(x0, x1, x2, x3, ROTATE_D, ROTATE_B) \
  HF_HALF(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, x0, x1, x2, x3, ROTATE_D, ROTATE_B)
#define HF_DIAGONALS(x0, x1, x2, x3, ROTATE_D, ROTATE_B) \
  HF_HALF(0, 1, 2, 3, 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14, x0, x1, x2, x3, ROTATE_D, ROTATE_B)

#define HF_ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
  HF_COLUMNS(s0, s2, s4, s6, ROTATE16, ROTATE12)                                       \
  HF_COLUMNS(s1, s3, s5, s7, ROTATE8, ROTATE7)                                         \
  HF_DIAGONALS(s8, s10, s12, s14, ROTATE16, ROTATE12)                                  \
  HF_DIAGONALS(s9, s11, s13, s15, ROTATE8, ROTATE7)                                    \
  MESSAGE_STAYS(m)

/* One compression in every lane: h becomes the next chaining values. */
__attribute__((always_inline)) static inline void NAME(compress_lanes)(VECTOR h[8], VECTOR m[16], VECTOR counter_low,
                                                                       VECTOR counter_high, uint32_t block_bytes, uint32_t flags) {
  VECTOR v[16] = {h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]};
  v[8] = SPLAT(HF_BLAKE3_IV0);
  v[9] = SPLAT(HF_BLAKE3_IV1);
  v[10] = SPLAT(HF_BLAKE3_IV2);
  v[11] = SPLAT(HF_BLAKE3_IV3);
  v[12] = counter_low;
  v[13] = counter_high;
  v[14] = SPLAT(block_bytes);
  v[15] = SPLAT(flags);
  MESSAGE_STAYS(m)
  HF_BLAKE3_ROUNDS(HF_ROUND)
  for (int i = 0; i < 8; i++) h[i] = XOR(v[i], v[i + 8]);
}

/*
 * The job with its idle lanes filled: `rows` and `tails` (or NULL) have LANES pointers. The rounds wait for their own results most of
 * the time, so each block is transposed before the rounds of the one ahead of it, whose gaps it fills.
 */
__attribute__((always_inline)) static inline void NAME(hash_lanes)(const hf_blake3_job *job, const uint8_t *const *rows,
                                                                   const uint8_t *const *tails, VECTOR h[8]) {
  uint32_t low[LANES], high[LANES];
  for (size_t lane = 0; lane < LANES; lane++) {
    const uint64_t counter = job->counters != NULL && lane < job->count ? job->counters[lane] : 0;
    low[lane] = (uint32_t)counter;
    high[lane] = (uint32_t)(counter >> 32);
  }
  const VECTOR counter_low = LOAD_WORDS(low), counter_high = LOAD_WORDS(high);
  const size_t last = job->blocks - 1;
  VECTOR messages[2][16];
  for (int i = 0; i < 8; i++) h[i] = SPLAT(job->key[i]);
  NAME(load_block)(last == 0 && tails != NULL ? tails : rows, 0, messages[0]);
  for (size_t block = 0; block <= last; block++) {
    if (block < last) {
      const int is_tail = block + 1 == last && tails != NULL;
      NAME(load_block)(is_tail ? tails : rows, is_tail ? 0 : (block + 1) * HF_BLAKE3_BLOCK_BYTES, messages[(block + 1) % 2]);
    }
    NAME(compress_lanes)(h, messages[block % 2], counter_low, counter_high, block == last ? job->tail_bytes : HF_BLAKE3_BLOCK_BYTES,
                         hf_blake3_block_flags(job, block));
  }
}

/* Any job of at most LANES inputs. Idle lanes repeat the first input and are thrown away. */
static void NAME(hash_job)(const hf_blake3_job *job, uint8_t *cvs) {
  const uint8_t *rows[LANES], *tails[LANES];
  VECTOR h[8];
  for (size_t lane = 0; lane < LANES; lane++) {
    const size_t source = lane < job->count ? lane : 0;
    rows[lane] = job->inputs[source];
    tails[lane] = job->tails != NULL ? job->tails + source * HF_BLAKE3_BLOCK_BYTES : NULL;
  }
  NAME(hash_lanes)(job, rows, job->tails != NULL ? tails : NULL, h);
  if (job->count == LANES) {
    NAME(store_cvs)(h, cvs);
  } else {
    uint8_t all[LANES * HF_BLAKE3_CV_BYTES];
    NAME(store_cvs)(h, all);
    memcpy(cvs, all, job->count * HF_BLAKE3_CV_BYTES);
  }
}

#undef HF_HALF
#undef HF_COLUMNS
#undef HF_DIAGONALS
#undef HF_ROUND
#undef IN_MEMORY
