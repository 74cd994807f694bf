/* BLAKE3 with AVX2: eight inputs at once. */
#include "blake3_kernels.h"
#include "blake3_x86.h"

static inline __m256i rotate16(__m256i x) {
  return _mm256_shuffle_epi8(x, _mm256_broadcastsi128_si256(_mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)));
}

static inline __m256i rotate8(__m256i x) {
  return _mm256_shuffle_epi8(x, _mm256_broadcastsi128_si256(_mm_setr_epi8(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12)));
}

static inline __m256i rotate12(__m256i x) {
  return _mm256_or_si256(_mm256_srli_epi32(x, 12), _mm256_slli_epi32(x, 20));
}

static inline __m256i rotate7(__m256i x) {
  return _mm256_or_si256(_mm256_srli_epi32(x, 7), _mm256_slli_epi32(x, 25));
}

#define LANES 8
#define VECTOR __m256i
#define NAME(x) x##_x8
#define ADD _mm256_add_epi32
#define XOR _mm256_xor_si256
#define SPLAT(word) _mm256_set1_epi32((int)(word))
#define LOAD_WORDS(pointer) _mm256_loadu_si256((const __m256i *)(pointer))
#define ROTATE16 rotate16
#define ROTATE12 rotate12
#define ROTATE8 rotate8
#define ROTATE7 rotate7
#define MESSAGE_STAYS(m)
#include "blake3_lanes.h"

/* On Zen 5, general registers take 54 ns for a block and eight lanes together 135. */
static void hash(const hf_blake3_job *job, uint8_t *cvs) {
  if (job->count <= 2) {
    hf_blake3_portable.hash(job, cvs);
  } else {
    hash_job_x8(job, cvs);
  }
}

const hf_blake3_kernels hf_blake3_avx2 = {8, hf_blake3_compress_portable, hash, NULL};
