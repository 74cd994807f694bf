/*
 * What the processor can do, and which of it the kernels use. A level names a set of instructions; every kernel has one
 * implementation for each level that gains it something and takes the next lower one otherwise. The level is chosen once, when
 * the addon is loaded (HOLDFAST_NATIVE), and changed afterwards only by tests and benchmarks, while nothing is running.
 */
#ifndef HF_CPU_H
#define HF_CPU_H

typedef enum {
  HF_PORTABLE = 0, /* C without intrinsics */
  HF_SSSE3,        /* SSSE3, SSE4.1, PCLMULQDQ */
  HF_AVX2,         /* the same and AVX2, BMI1, BMI2 */
  HF_AVX2_GFNI,    /* the same and GFNI, VPCLMULQDQ */
  HF_AVX512,       /* the same and AVX-512 F, BW, VL, DQ */
  HF_NEON,         /* ARMv8-A with Advanced SIMD, CRC32 and PMULL */
  HF_LEVEL_COUNT
} hf_level;

/* Whether this processor, under this operating system, runs a level. Levels of other architectures never do. */
int hf_level_supported(hf_level level);

/* The best level of this processor. */
hf_level hf_level_best(void);

/* "portable", "ssse3", "avx2", "avx2-gfni", "avx512", "neon". */
const char *hf_level_name(hf_level level);

/* The level of that name, or HF_LEVEL_COUNT. */
hf_level hf_level_by_name(const char *name);

/* The level the kernels run at. */
hf_level hf_level_now(void);

/* Makes all kernels run at a supported level. Not to be called while a kernel runs. Returns 0 when it is not supported. */
int hf_level_select(hf_level level);

/* Whether `have` includes the instructions of `want`: a kernel picks its best implementation by asking from the top down. */
static inline int hf_level_has(hf_level have, hf_level want) {
  if (want == HF_PORTABLE || have == want) return 1;
  return have != HF_NEON && want != HF_NEON && have > want;
}

#endif
