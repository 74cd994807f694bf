#include "cpu.h"

#include <string.h>

#include "blake3.h"
#include "crc.h"
#include "gf256.h"
#include "md5.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_PMULL
#define HWCAP_PMULL (1 << 4)
#endif
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

static const char *const names[HF_LEVEL_COUNT] = {"portable", "ssse3", "avx2", "avx2-gfni", "avx512", "neon"};
static hf_level now = HF_PORTABLE;

#if defined(__x86_64__)
static int supports_ssse3(void) {
  return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("pclmul");
}

static int supports_avx2(void) {
  return supports_ssse3() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}

static int supports_gfni(void) {
  return supports_avx2() && __builtin_cpu_supports("gfni") && __builtin_cpu_supports("vpclmulqdq");
}

static int supports_avx512(void) {
  return supports_gfni() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
#elif defined(__aarch64__)
static int supports_neon(void) {
#if defined(__linux__)
  unsigned long have = getauxval(AT_HWCAP);
  return (have & HWCAP_PMULL) != 0 && (have & HWCAP_CRC32) != 0;
#else
  return 1; /* every Apple processor that runs macOS has both */
#endif
}
#endif

int hf_level_supported(hf_level level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  switch (level) {
    case HF_PORTABLE:
      return 1;
#if defined(__x86_64__)
    case HF_SSSE3:
      return supports_ssse3();
    case HF_AVX2:
      return supports_avx2();
    case HF_AVX2_GFNI:
      return supports_gfni();
    case HF_AVX512:
      return supports_avx512();
#elif defined(__aarch64__)
    case HF_NEON:
      return supports_neon();
#endif
    default:
      return 0;
  }
}

hf_level hf_level_best(void) {
  hf_level best = HF_PORTABLE;
  for (int level = HF_PORTABLE; level < HF_LEVEL_COUNT; level++) {
    if (hf_level_supported((hf_level)level)) best = (hf_level)level;
  }
  return best;
}

const char *hf_level_name(hf_level level) {
  return level < HF_LEVEL_COUNT ? names[level] : "unknown";
}

hf_level hf_level_by_name(const char *name) {
  int level = HF_PORTABLE;
  while (level < HF_LEVEL_COUNT && strcmp(names[level], name) != 0) level++;
  return (hf_level)level;
}

hf_level hf_level_now(void) {
  return now;
}

int hf_level_select(hf_level level) {
  if (!hf_level_supported(level)) return 0;
  hf_gf256_select(level);
  hf_blake3_select(level);
  hf_crc_select(level);
  hf_md5_select(level);
  now = level;
  return 1;
}
