/*
 * Which kernels of md5_kernels.h run how many streams. Vectors do not always win: their instructions take one cycle each in
 * most processors but two in some (Zen 5), where up to four streams are faster in general registers. So the kernels of a level
 * are timed when it is selected, half a millisecond in all, and the plan for every number of streams follows from their
 * times.
 */
#ifndef HF_MD5_PLAN_H
#define HF_MD5_PLAN_H

#include "cpu.h"
#include "md5.h"
#include "md5_kernels.h"

typedef struct {
  const char *name;
  size_t width;
  hf_md5_blocks *run;
} hf_md5_kernel;

/* Times the kernels of a level and plans with them. */
void hf_md5_plan(hf_level level);

/* Those of the level; NULL behind the last. */
const hf_md5_kernel *hf_md5_plan_kernel(size_t index);

/* Makes all numbers of streams go through one of them; with an index behind the last, the measured plan again. */
void hf_md5_plan_only(size_t index);

/* The kernel to start with when `count` streams (1 to 16) have blocks left; it takes as many of them as it is wide. */
const hf_md5_kernel *hf_md5_plan_for(size_t count);

#endif
