#include "md5_plan.h"

#include <string.h>
#include <time.h>

typedef struct {
  hf_level level; /* the lowest that has it */
  hf_md5_kernel kernel;
} candidate;

/* Narrower ones first, so that they win a tie. */
static const candidate candidates[] = {
    {HF_PORTABLE, {"scalar-1", 1, hf_md5_scalar_1}},
    {HF_PORTABLE, {"scalar-2", 2, hf_md5_scalar_2}},
    {HF_PORTABLE, {"scalar-3", 3, hf_md5_scalar_3}},
    {HF_PORTABLE, {"scalar-4", 4, hf_md5_scalar_4}},
#if defined(__x86_64__)
    {HF_SSSE3, {"ssse3-4", 4, hf_md5_ssse3_4}},
    {HF_AVX2, {"avx2-4", 4, hf_md5_avx2_4}},
    {HF_AVX2, {"avx2-8", 8, hf_md5_avx2_8}},
    {HF_AVX2, {"sums-avx2-4", 4, hf_md5_sums_avx2_4}},
    {HF_AVX512, {"avx512-4", 4, hf_md5_avx512_4}},
    {HF_AVX512, {"avx512-8", 8, hf_md5_avx512_8}},
    {HF_AVX512, {"avx512-16", 16, hf_md5_avx512_16}},
#elif defined(__aarch64__)
    {HF_NEON, {"neon-4", 4, hf_md5_neon_4}},
#endif
};
#define CANDIDATES (sizeof candidates / sizeof *candidates)

static const hf_md5_kernel *kernels[CANDIDATES]; /* of the level */
static size_t kernel_count;
static const hf_md5_kernel *measured[HF_MD5_LANES_MAX + 1]; /* by the number of streams */
static const hf_md5_kernel *only;

#define WARMING_BLOCKS 4
#define TIMED_BLOCKS 16
#define TIMED_ROUNDS 10

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* One run, with the kernel's code in the caches. */
static uint64_t time_once(const hf_md5_kernel *kernel) {
  static const uint8_t message[HF_MD5_BLOCK_BYTES * TIMED_BLOCKS];
  uint32_t states[HF_MD5_LANES_MAX][4];
  uint32_t *lanes[HF_MD5_LANES_MAX];
  const uint8_t *bytes[HF_MD5_LANES_MAX];
  memset(states, 0, sizeof states);
  for (size_t i = 0; i < HF_MD5_LANES_MAX; i++) {
    lanes[i] = states[i];
    bytes[i] = message;
  }
  kernel->run(lanes, bytes, WARMING_BLOCKS);
  uint64_t start = now_ns();
  kernel->run(lanes, bytes, TIMED_BLOCKS);
  return now_ns() - start;
}

/*
 * The shortest run of each kernel, since whatever interrupts one makes it longer only. Kernels take turns, so that what slows the
 * processor down for a while does so to all of them.
 */
static void time_kernels(uint64_t times[CANDIDATES]) {
  for (size_t i = 0; i < kernel_count; i++) times[i] = UINT64_MAX;
  for (int round = 0; round < TIMED_ROUNDS; round++) {
    for (size_t i = 0; i < kernel_count; i++) {
      uint64_t time = time_once(kernels[i]);
      if (time < times[i]) times[i] = time;
    }
  }
}

/* The least time for one block of each of n streams: that of some kernel, and that of the streams it leaves. */
static void plan_from(const uint64_t times[CANDIDATES]) {
  uint64_t least[HF_MD5_LANES_MAX + 1] = {0};
  for (size_t count = 1; count <= HF_MD5_LANES_MAX; count++) {
    least[count] = UINT64_MAX;
    for (size_t i = 0; i < kernel_count; i++) {
      size_t width = kernels[i]->width;
      uint64_t time = times[i] + least[count > width ? count - width : 0];
      if (time >= least[count]) continue;
      least[count] = time;
      measured[count] = kernels[i];
    }
  }
}

void hf_md5_plan(hf_level level) {
  uint64_t times[CANDIDATES];
  kernel_count = 0;
  only = NULL;
  for (size_t i = 0; i < CANDIDATES; i++) {
    if (hf_level_has(level, candidates[i].level)) kernels[kernel_count++] = &candidates[i].kernel;
  }
  time_kernels(times);
  plan_from(times);
}

const hf_md5_kernel *hf_md5_plan_kernel(size_t index) {
  return index < kernel_count ? kernels[index] : NULL;
}

void hf_md5_plan_only(size_t index) {
  only = hf_md5_plan_kernel(index);
}

const hf_md5_kernel *hf_md5_plan_for(size_t count) {
  return only != NULL ? only : measured[count];
}
