/* BLAKE3 with SSE4.1: four inputs at once. */
#include "blake3_kernels.h"
#include "blake3_x86.h"

static inline __m128i rotate16(__m128i x) {
  return _mm_shuffle_epi8(x, _mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
}

static inline __m128i rotate8(__m128i x) {
  return _mm_shuffle_epi8(x, _mm_setr_epi8(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12));
}

static inline __m128i rotate12(__m128i x) {
  return _mm_or_si128(_mm_srli_epi32(x, 12), _mm_slli_epi32(x, 20));
}

static inline __m128i rotate7(__m128i x) {
  return _mm_or_si128(_mm_srli_epi32(x, 7), _mm_slli_epi32(x, 25));
}

#define ROTATE16 rotate16
#define ROTATE12 rotate12
#define ROTATE8 rotate8
#define ROTATE7 rotate7

#define LANES 4
#define VECTOR __m128i
#define NAME(x) x##_x4
#define ADD _mm_add_epi32
#define XOR _mm_xor_si128
#define SPLAT(word) _mm_set1_epi32((int)(word))
#define LOAD_WORDS(pointer) _mm_loadu_si128((const __m128i *)(pointer))
#define MESSAGE_STAYS(m) IN_MEMORY(m)
#include "blake3_lanes.h"

/* On Zen 5, general registers take 54 ns for a block and four lanes together 125. */
static void hash(const hf_blake3_job *job, uint8_t *cvs) {
  if (job->count <= 2) {
    hf_blake3_portable.hash(job, cvs);
  } else {
    hash_job_x4(job, cvs);
  }
}

const hf_blake3_kernels hf_blake3_ssse3 = {4, hf_blake3_compress_portable, hash, NULL};
