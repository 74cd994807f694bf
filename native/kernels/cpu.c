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
#include <cpuid.h>

/* Bits of CPUID (Intel SDM, volume 2A, CPUID) and of XCR0 (volume 1, 13.3). */
#define LEAF1_ECX_PCLMULQDQ (1u << 1)
#define LEAF1_ECX_SSSE3 (1u << 9)
#define LEAF1_ECX_SSE41 (1u << 19)
#define LEAF1_ECX_OSXSAVE (1u << 27)
#define LEAF7_EBX_BMI1 (1u << 3)
#define LEAF7_EBX_AVX2 (1u << 5)
#define LEAF7_EBX_BMI2 (1u << 8)
#define LEAF7_EBX_AVX512F (1u << 16)
#define LEAF7_EBX_AVX512DQ (1u << 17)
#define LEAF7_EBX_AVX512BW (1u << 30)
#define LEAF7_EBX_AVX512VL (1u << 31)
#define LEAF7_ECX_GFNI (1u << 8)
#define LEAF7_ECX_VPCLMULQDQ (1u << 10)
#define XCR0_AVX 0x06u
#define XCR0_AVX512 0xe6u

typedef struct {
  unsigned leaf1_ecx;
  unsigned leaf7_ebx;
  unsigned leaf7_ecx;
  unsigned xcr0; /* registers that the operating system saves */
} cpu_bits;

/* Not by __builtin_cpu_supports, which always says no in what zig links: prebuilds would run portable kernels everywhere. */
static cpu_bits ask_cpu(void) {
  cpu_bits bits = {0, 0, 0, 0};
  unsigned eax, ebx, ecx, edx;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) bits.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
    bits.leaf7_ebx = ebx;
    bits.leaf7_ecx = ecx;
  }
  if (bits.leaf1_ecx & LEAF1_ECX_OSXSAVE) __asm__ volatile("xgetbv" : "=a"(bits.xcr0), "=d"(edx) : "c"(0));
  return bits;
}

static int has_all(unsigned bits, unsigned wanted) {
  return (bits & wanted) == wanted;
}

static int supports_ssse3(const cpu_bits *cpu) {
  return has_all(cpu->leaf1_ecx, LEAF1_ECX_SSSE3 | LEAF1_ECX_SSE41 | LEAF1_ECX_PCLMULQDQ);
}

static int supports_avx2(const cpu_bits *cpu) {
  return supports_ssse3(cpu) && has_all(cpu->xcr0, XCR0_AVX) && has_all(cpu->leaf7_ebx, LEAF7_EBX_AVX2 | LEAF7_EBX_BMI1 | LEAF7_EBX_BMI2);
}

static int supports_gfni(const cpu_bits *cpu) {
  return supports_avx2(cpu) && has_all(cpu->leaf7_ecx, LEAF7_ECX_GFNI | LEAF7_ECX_VPCLMULQDQ);
}

static int supports_avx512(const cpu_bits *cpu) {
  return supports_gfni(cpu) && has_all(cpu->xcr0, XCR0_AVX512) &&
         has_all(cpu->leaf7_ebx, LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512BW | LEAF7_EBX_AVX512VL | LEAF7_EBX_AVX512DQ);
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
  const cpu_bits cpu = ask_cpu();
#endif
  switch (level) {
    case HF_PORTABLE:
      return 1;
#if defined(__x86_64__)
    case HF_SSSE3:
      return supports_ssse3(&cpu);
    case HF_AVX2:
      return supports_avx2(&cpu);
    case HF_AVX2_GFNI:
      return supports_gfni(&cpu);
    case HF_AVX512:
      return supports_avx512(&cpu);
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
