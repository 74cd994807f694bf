/*
 * A trial computes something from a seed and notes what came out. The same seed is tried at every level of the processor; what is noted
 * must be the same at all of them. Areas are of exactly the size that was asked for and begin anywhere, so that AddressSanitizer sees
 * the first byte too many.
 */
#ifndef HF_TRIAL_H
#define HF_TRIAL_H

#include <stddef.h>
#include <stdint.h>

#define TRIAL_AREAS_MAX 2048

typedef struct {
  uint64_t random;
  uint64_t noted; /* a sum over everything noted */
  const char *wrong; /* what does not hold whatever the level is; NULL when nothing */
  size_t area_count;
  void *areas[TRIAL_AREAS_MAX];
} trial;

/* 0 to end - 1. */
size_t trial_below(trial *trial, size_t end);
/* Often 0, 1 or near a power of two; at most `max`. */
size_t trial_length(trial *trial, size_t max);
/* `length` random bytes that live as long as the trial. */
uint8_t *trial_area(trial *trial, size_t length);
/* The same of the bytes given. */
uint8_t *trial_copy(trial *trial, const uint8_t *bytes, size_t length);
void trial_note(trial *trial, const void *bytes, size_t length);
void trial_expect(trial *trial, int holds, const char *what);

typedef struct {
  const char *name;
  void (*run)(trial *trial);
  unsigned trials; /* at each level */
} check;

/* Runs a check at all levels, portable first. Returns how many results agreed, or 0 after printing what did not. */
unsigned long check_run(const check *check);

/* What each file of this directory checks; a name of NULL ends the list. */
extern const check gf256_checks[];
extern const check blake3_checks[];
extern const check crc_checks[];
extern const check md5_checks[];
extern const check engine_checks[];
extern const check files_checks[];
extern const check receiver_checks[];

#endif
