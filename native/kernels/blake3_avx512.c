/*
 * BLAKE3 with AVX-512: up to 32 inputs at once, in narrower vectors when there are fewer. The 32 registers hold the state of 32 inputs,
 * two sets of sixteen: on Zen 5 an instruction's result can be used two cycles later, so one set alone leaves half of them empty. A
 * rotation is one instruction. A single input is faster in general registers (54 ns a block, 92 with its state in rows of vectors).
 */
#include "blake3_kernels.h"
#include "blake3_x86.h"

#define ROTATE16(x) _mm_ror_epi32(x, 16)
#define ROTATE12(x) _mm_ror_epi32(x, 12)
#define ROTATE8(x) _mm_ror_epi32(x, 8)
#define ROTATE7(x) _mm_ror_epi32(x, 7)

/* ---- up to four ---- */

#define LANES 4
#define VECTOR __m128i
#define NAME(x) x##_x4
#define ADD _mm_add_epi32
#define XOR _mm_xor_si128
#define SPLAT(word) _mm_set1_epi32((int)(word))
#define LOAD_WORDS(pointer) _mm_loadu_si128((const __m128i *)(pointer))
#define MESSAGE_STAYS(m)
#include "blake3_lanes.h"
#undef LANES
#undef VECTOR
#undef NAME
#undef ADD
#undef XOR
#undef SPLAT
#undef LOAD_WORDS
#undef MESSAGE_STAYS
#undef ROTATE16
#undef ROTATE12
#undef ROTATE8
#undef ROTATE7

/* ---- up to eight ---- */

#define LANES 8
#define VECTOR __m256i
#define NAME(x) x##_x8
#define ADD _mm256_add_epi32
#define XOR _mm256_xor_si256
#define SPLAT(word) _mm256_set1_epi32((int)(word))
#define LOAD_WORDS(pointer) _mm256_loadu_si256((const __m256i *)(pointer))
#define ROTATE16(x) _mm256_ror_epi32(x, 16)
#define ROTATE12(x) _mm256_ror_epi32(x, 12)
#define ROTATE8(x) _mm256_ror_epi32(x, 8)
#define ROTATE7(x) _mm256_ror_epi32(x, 7)
#define MESSAGE_STAYS(m)
#include "blake3_lanes.h"
#undef LANES
#undef VECTOR
#undef NAME
#undef ADD
#undef XOR
#undef SPLAT
#undef LOAD_WORDS
#undef MESSAGE_STAYS
#undef ROTATE16
#undef ROTATE12
#undef ROTATE8
#undef ROTATE7

/* ---- sixteen ---- */

/* Four rows of four words in each 128-bit quarter, transposed there: result j has word 4k + j of the rows in its quarter k. */
__attribute__((always_inline)) static inline void transpose_quarters(__m512i a, __m512i b, __m512i c, __m512i d, __m512i t[4]) {
  const __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
  const __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
  t[0] = _mm512_unpacklo_epi64(ab_low, cd_low);
  t[1] = _mm512_unpackhi_epi64(ab_low, cd_low);
  t[2] = _mm512_unpacklo_epi64(ab_high, cd_high);
  t[3] = _mm512_unpackhi_epi64(ab_high, cd_high);
}

__attribute__((always_inline)) static inline void load_block_x16(const uint8_t *const *rows, size_t offset, __m512i m[16]) {
  __m512i t[4][4];
  for (int quad = 0; quad < 4; quad++) {
    transpose_quarters(_mm512_loadu_si512(rows[4 * quad] + offset), _mm512_loadu_si512(rows[4 * quad + 1] + offset),
                       _mm512_loadu_si512(rows[4 * quad + 2] + offset), _mm512_loadu_si512(rows[4 * quad + 3] + offset), t[quad]);
  }
  for (int j = 0; j < 4; j++) {
    const __m512i low01 = _mm512_shuffle_i32x4(t[0][j], t[1][j], 0x44), low23 = _mm512_shuffle_i32x4(t[2][j], t[3][j], 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(t[0][j], t[1][j], 0xee), high23 = _mm512_shuffle_i32x4(t[2][j], t[3][j], 0xee);
    m[j] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    m[j + 4] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    m[j + 8] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    m[j + 12] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
}

/* Two neighbouring lanes make 64 bytes: words 0–3 and 4–7 of the one, then of the other. */
static inline void store_cvs_x16(const __m512i h[8], uint8_t *cvs) {
  __m512i lower[4], upper[4];
  transpose_quarters(h[0], h[1], h[2], h[3], lower);
  transpose_quarters(h[4], h[5], h[6], h[7], upper);
  for (int j = 0; j < 4; j += 2) {
    const __m512i first_low = _mm512_shuffle_i32x4(lower[j], upper[j], 0x44);
    const __m512i first_high = _mm512_shuffle_i32x4(lower[j], upper[j], 0xee);
    const __m512i second_low = _mm512_shuffle_i32x4(lower[j + 1], upper[j + 1], 0x44);
    const __m512i second_high = _mm512_shuffle_i32x4(lower[j + 1], upper[j + 1], 0xee);
    _mm512_storeu_si512(cvs + 32 * j, _mm512_shuffle_i32x4(first_low, second_low, 0x88));
    _mm512_storeu_si512(cvs + 32 * (j + 4), _mm512_shuffle_i32x4(first_low, second_low, 0xdd));
    _mm512_storeu_si512(cvs + 32 * (j + 8), _mm512_shuffle_i32x4(first_high, second_high, 0x88));
    _mm512_storeu_si512(cvs + 32 * (j + 12), _mm512_shuffle_i32x4(first_high, second_high, 0xdd));
  }
}

#define LANES 16
#define VECTOR __m512i
#define NAME(x) x##_x16
#define ADD _mm512_add_epi32
#define XOR _mm512_xor_si512
#define SPLAT(word) _mm512_set1_epi32((int)(word))
#define LOAD_WORDS(pointer) _mm512_loadu_si512(pointer)
#define ROTATE16(x) _mm512_ror_epi32(x, 16)
#define ROTATE12(x) _mm512_ror_epi32(x, 12)
#define ROTATE8(x) _mm512_ror_epi32(x, 8)
#define ROTATE7(x) _mm512_ror_epi32(x, 7)
#define MESSAGE_STAYS(m) IN_MEMORY(m)
#include "blake3_lanes.h"

#undef LANES
#undef VECTOR
#undef NAME
#undef ADD
#undef XOR
#undef SPLAT
#undef LOAD_WORDS
#undef MESSAGE_STAYS
#undef ROTATE16
#undef ROTATE12
#undef ROTATE8
#undef ROTATE7

/* ---- thirty-two ---- */

typedef struct {
  __m512i one, other;
} pair;

#define BOTH(function, operation)                                                   \
  __attribute__((always_inline)) static inline pair function(pair x, pair y) {       \
    return (pair){operation(x.one, y.one), operation(x.other, y.other)};             \
  }
#define BOTH_ROTATED(function, bits)                                                \
  __attribute__((always_inline)) static inline pair function(pair x) {               \
    return (pair){_mm512_ror_epi32(x.one, bits), _mm512_ror_epi32(x.other, bits)};   \
  }
BOTH(add_pairs, _mm512_add_epi32)
BOTH(xor_pairs, _mm512_xor_si512)
BOTH_ROTATED(rotate16, 16)
BOTH_ROTATED(rotate12, 12)
BOTH_ROTATED(rotate8, 8)
BOTH_ROTATED(rotate7, 7)

__attribute__((always_inline)) static inline pair splat_pair(uint32_t word) {
  const __m512i words = _mm512_set1_epi32((int)word);
  return (pair){words, words};
}

__attribute__((always_inline)) static inline pair load_pair(const uint32_t *words) {
  return (pair){_mm512_loadu_si512(words), _mm512_loadu_si512(words + 16)};
}

__attribute__((always_inline)) static inline void load_block_x32(const uint8_t *const *rows, size_t offset, pair m[16]) {
  __m512i half[16];
  load_block_x16(rows, offset, half);
  for (int i = 0; i < 16; i++) m[i].one = half[i];
  load_block_x16(rows + 16, offset, half);
  for (int i = 0; i < 16; i++) m[i].other = half[i];
}

static inline void store_cvs_x32(const pair h[8], uint8_t *cvs) {
  __m512i half[8];
  for (int i = 0; i < 8; i++) half[i] = h[i].one;
  store_cvs_x16(half, cvs);
  for (int i = 0; i < 8; i++) half[i] = h[i].other;
  store_cvs_x16(half, cvs + 16 * HF_BLAKE3_CV_BYTES);
}

#define LANES 32
#define VECTOR pair
#define NAME(x) x##_x32
#define ADD add_pairs
#define XOR xor_pairs
#define SPLAT splat_pair
#define LOAD_WORDS load_pair
#define ROTATE16 rotate16
#define ROTATE12 rotate12
#define ROTATE8 rotate8
#define ROTATE7 rotate7
#define MESSAGE_STAYS(m) IN_MEMORY(m)
#include "blake3_lanes.h"

/* Two blocks in general registers take 108 ns, four to sixteen side by side 95 to 105, thirty-two 150. */
static void hash(const hf_blake3_job *job, uint8_t *cvs) {
  if (job->count <= 2) {
    hf_blake3_portable.hash(job, cvs);
  } else if (job->count <= 4) {
    hash_job_x4(job, cvs);
  } else if (job->count <= 8) {
    hash_job_x8(job, cvs);
  } else if (job->count <= 16) {
    hash_job_x16(job, cvs);
  } else {
    hash_job_x32(job, cvs);
  }
}

/* ---- a group: its parents are computed where the chaining values are, in registers ---- */

/* Parents of 16, 8 and 4 neighbours: a parent's message is the words of an even lane, then those of the odd one behind it. */
static void group(const uint32_t key[8], const uint8_t *bytes, uint64_t first_chunk, uint32_t flags, uint8_t cv[32]) {
  const uint8_t *rows[16];
  uint64_t counters[16];
  for (size_t lane = 0; lane < 16; lane++) {
    rows[lane] = bytes + lane * HF_BLAKE3_CHUNK_BLOCKS * HF_BLAKE3_BLOCK_BYTES;
    counters[lane] = first_chunk + lane;
  }
  const hf_blake3_job job = {.key = key,
                             .inputs = rows,
                             .count = 16,
                             .blocks = HF_BLAKE3_CHUNK_BLOCKS,
                             .tail_bytes = HF_BLAKE3_BLOCK_BYTES,
                             .counters = counters,
                             .flags = flags,
                             .start_flags = HF_BLAKE3_CHUNK_START,
                             .end_flags = HF_BLAKE3_CHUNK_END};
  const uint32_t parent_flags = flags | HF_BLAKE3_PARENT;
  __m512i h16[8];
  hash_lanes_x16(&job, rows, NULL, h16);

  const __m512i evens_then_odds = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
  __m256i m8[16], h8[8];
  for (int i = 0; i < 8; i++) {
    const __m512i sorted = _mm512_permutexvar_epi32(evens_then_odds, h16[i]);
    m8[i] = _mm512_castsi512_si256(sorted);
    m8[i + 8] = _mm512_extracti64x4_epi64(sorted, 1);
    h8[i] = _mm256_set1_epi32((int)key[i]);
  }
  compress_lanes_x8(h8, m8, _mm256_setzero_si256(), _mm256_setzero_si256(), HF_BLAKE3_BLOCK_BYTES, parent_flags);

  __m128i m4[16], h4[8];
  for (int i = 0; i < 8; i++) {
    const __m256i sorted = _mm256_permutevar8x32_epi32(h8[i], _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
    m4[i] = _mm256_castsi256_si128(sorted);
    m4[i + 8] = _mm256_extracti128_si256(sorted, 1);
    h4[i] = _mm_set1_epi32((int)key[i]);
  }
  compress_lanes_x4(h4, m4, _mm_setzero_si128(), _mm_setzero_si128(), HF_BLAKE3_BLOCK_BYTES, parent_flags);

  for (int i = 0; i < 8; i++) {
    m4[i] = _mm_shuffle_epi32(h4[i], _MM_SHUFFLE(2, 0, 2, 0));
    m4[i + 8] = _mm_shuffle_epi32(h4[i], _MM_SHUFFLE(3, 1, 3, 1));
  }
  for (int i = 0; i < 8; i++) h4[i] = _mm_set1_epi32((int)key[i]);
  compress_lanes_x4(h4, m4, _mm_setzero_si128(), _mm_setzero_si128(), HF_BLAKE3_BLOCK_BYTES, parent_flags);

  uint8_t both[4 * HF_BLAKE3_CV_BYTES];
  uint32_t top[HF_BLAKE3_BLOCK_WORDS];
  store_cvs_x4(h4, both);
  hf_blake3_compress_portable(key, both, 0, HF_BLAKE3_BLOCK_BYTES, parent_flags, top);
  memcpy(cv, top, HF_BLAKE3_CV_BYTES);
}

const hf_blake3_kernels hf_blake3_avx512 = {32, hf_blake3_compress_portable, hash, group};
