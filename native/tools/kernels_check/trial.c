#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../kernels/cpu.h"

#define MISALIGNED_MAX 65

/* splitmix64 (prng.di.unimi.it/splitmix64.c) */
static uint64_t next(trial *trial) {
  uint64_t z = (trial->random += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

size_t trial_below(trial *trial, size_t end) {
  return (size_t)(next(trial) % end);
}

size_t trial_length(trial *trial, size_t max) {
  size_t length;
  switch (trial_below(trial, 4)) {
    case 0:
      length = trial_below(trial, 3);
      break;
    case 1:
      length = ((size_t)1 << trial_below(trial, 18)) - 1 + trial_below(trial, 3);
      break;
    default:
      length = trial_below(trial, (size_t)1 << trial_below(trial, 18));
  }
  return length > max ? max : length;
}

static uint8_t *new_area(trial *trial, size_t length) {
  size_t before = trial_below(trial, MISALIGNED_MAX);
  uint8_t *area = NULL;
  if (trial->area_count == TRIAL_AREAS_MAX || (area = malloc(before + length + (before + length == 0))) == NULL) {
    fprintf(stderr, "no memory for a trial\n");
    exit(2);
  }
  trial->areas[trial->area_count++] = area;
  return area + before;
}

uint8_t *trial_area(trial *trial, size_t length) {
  uint8_t *area = new_area(trial, length);
  size_t i = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t number = next(trial);
    memcpy(area + i, &number, 8);
  }
  for (; i < length; i++) area[i] = (uint8_t)next(trial);
  return area;
}

uint8_t *trial_copy(trial *trial, const uint8_t *bytes, size_t length) {
  uint8_t *area = new_area(trial, length);
  if (length > 0) memcpy(area, bytes, length);
  return area;
}

/* FNV-1a (isthe.com/chongo/tech/comp/fnv), of the length too. */
void trial_note(trial *trial, const void *bytes, size_t length) {
  const uint8_t *byte = bytes;
  for (size_t i = 0; i < length; i++) trial->noted = (trial->noted ^ byte[i]) * UINT64_C(0x100000001b3);
  trial->noted = (trial->noted ^ length) * UINT64_C(0x100000001b3);
}

void trial_expect(trial *trial, int holds, const char *what) {
  if (!holds && trial->wrong == NULL) trial->wrong = what;
}

static uint64_t run_one(const check *check, unsigned seed, const char **wrong) {
  static trial now;
  now.random = seed * UINT64_C(0xd1342543de82ef95);
  now.noted = UINT64_C(0xcbf29ce484222325);
  now.wrong = NULL;
  now.area_count = 0;
  check->run(&now);
  for (size_t i = 0; i < now.area_count; i++) free(now.areas[i]);
  *wrong = now.wrong;
  return now.noted;
}

static unsigned long run_level(const check *check, uint64_t *portable) {
  unsigned long agree = 0;
  for (unsigned seed = 0; seed < check->trials; seed++) {
    const char *wrong;
    uint64_t noted = run_one(check, seed, &wrong);
    if (hf_level_now() == HF_PORTABLE) portable[seed] = noted;
    if (wrong == NULL && noted != portable[seed]) wrong = "not what the portable level has";
    if (wrong != NULL) {
      printf("%s, seed %u, at level %s: %s\n", check->name, seed, hf_level_name(hf_level_now()), wrong);
      return 0;
    }
    agree++;
  }
  return agree;
}

unsigned long check_run(const check *check) {
  uint64_t *portable = calloc(check->trials, sizeof *portable);
  unsigned long sum = 0;
  if (portable == NULL) return 0;
  for (int level = HF_PORTABLE; level < HF_LEVEL_COUNT; level++) {
    if (!hf_level_select((hf_level)level)) continue;
    unsigned long agree = run_level(check, portable);
    sum = agree == 0 ? 0 : sum + agree;
    if (agree == 0) break;
  }
  free(portable);
  return sum;
}
