#include "../../kernels/gf256.h"

#include <string.h>

#include "trial.h"

#define LENGTH_MAX 20000
#define BYTES_MAX 400000 /* of all shards together: 255 long ones would take all the time */

typedef struct {
  size_t k;
  size_t m;
  size_t length;
} geometry;

static geometry a_geometry(trial *trial) {
  size_t count = 1 + (trial_below(trial, 4) == 0 ? trial_below(trial, HF_SHARDS_MAX) : trial_below(trial, 20));
  size_t k = 1 + trial_below(trial, count);
  size_t length = trial_length(trial, LENGTH_MAX);
  return (geometry){k, count - k, length * count > BYTES_MAX ? BYTES_MAX / count : length};
}

static void new_areas(trial *trial, uint8_t **areas, size_t count, size_t length) {
  for (size_t i = 0; i < count; i++) areas[i] = trial_area(trial, length);
}

static void combine(trial *trial, const uint8_t *coefficients, size_t rows, size_t columns, uint8_t *const *sources,
                    uint8_t *const *outputs, size_t length) {
  hf_gf256_matrix *matrix = hf_gf256_matrix_new(coefficients, rows, columns);
  trial_expect(trial, matrix != NULL, "no matrix");
  if (matrix == NULL) return;
  hf_gf256_combine(matrix, (const uint8_t *const *)sources, outputs, length);
  hf_gf256_matrix_free(matrix);
  for (size_t i = 0; i < rows; i++) trial_note(trial, outputs[i], length);
}

static void any_matrix(trial *trial) {
  uint8_t *sources[HF_SHARDS_MAX], *outputs[HF_SHARDS_MAX];
  geometry g = a_geometry(trial);
  size_t rows = g.m + 1;
  new_areas(trial, sources, g.k, g.length);
  new_areas(trial, outputs, rows, g.length);
  combine(trial, trial_area(trial, rows * g.k), rows, g.k, sources, outputs, g.length);
}

/* Encodes, loses up to m shards, and rebuilds them from k others in any order. */
static void rebuild(trial *trial) {
  uint8_t *shards[HF_SHARDS_MAX], *sources[HF_SHARDS_MAX], *outputs[HF_SHARDS_MAX];
  uint8_t order[HF_SHARDS_MAX];
  geometry g = a_geometry(trial);
  size_t count = g.k + g.m;
  if (g.m == 0) return;
  new_areas(trial, shards, count, g.length);
  uint8_t *coefficients = trial_area(trial, g.m * g.k);
  trial_expect(trial, hf_gf256_parity_coefficients(g.k, g.m, coefficients), "a geometry was refused");
  combine(trial, coefficients, g.m, g.k, shards, shards + g.k, g.length);
  for (size_t i = 0; i < count; i++) order[i] = (uint8_t)i;
  for (size_t i = count - 1; i > 0; i--) {
    size_t j = trial_below(trial, i + 1);
    uint8_t swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
  const uint8_t *wanted = order + g.k;
  size_t wanted_count = 1 + trial_below(trial, g.m);
  new_areas(trial, outputs, wanted_count, g.length);
  for (size_t i = 0; i < g.k; i++) sources[i] = shards[order[i]];
  uint8_t *decode = trial_area(trial, wanted_count * g.k);
  trial_expect(trial, hf_gf256_decode_coefficients(g.k, g.m, order, wanted, wanted_count, decode), "losses were refused");
  combine(trial, decode, wanted_count, g.k, sources, outputs, g.length);
  for (size_t i = 0; i < wanted_count && g.length > 0; i++) {
    trial_expect(trial, memcmp(outputs[i], shards[wanted[i]], g.length) == 0, "a rebuilt shard is another");
  }
}

static void refused(trial *trial) {
  uint8_t coefficients[16];
  const uint8_t twice[] = {1, 1}, beyond[] = {0, 4}, some[] = {0, 1};
  trial_expect(trial, !hf_gf256_parity_coefficients(0, 1, coefficients), "k = 0 was taken");
  trial_expect(trial, !hf_gf256_parity_coefficients(255, 1, coefficients), "256 shards were taken");
  trial_expect(trial, !hf_gf256_parity_coefficients(SIZE_MAX, 2, coefficients), "an enormous k was taken");
  trial_expect(trial, !hf_gf256_parity_coefficients(2, SIZE_MAX, coefficients), "an enormous m was taken");
  trial_expect(trial, !hf_gf256_decode_coefficients(2, 2, twice, some, 1, coefficients), "a source was taken twice");
  trial_expect(trial, !hf_gf256_decode_coefficients(2, 2, beyond, some, 1, coefficients), "a source out of range was taken");
  trial_expect(trial, !hf_gf256_decode_coefficients(2, 2, some, beyond + 1, 1, coefficients), "a shard out of range was taken");
  trial_expect(trial, hf_gf256_matrix_new(coefficients, 0, 1) == NULL, "a matrix without rows was made");
  trial_expect(trial, hf_gf256_matrix_new(coefficients, 1, 256) == NULL, "a matrix of 256 columns was made");
  hf_gf256_matrix_free(NULL);
}

const check gf256_checks[] = {{"gf256 of any matrix", any_matrix, 150}, {"gf256 rebuilding", rebuild, 250}, {"gf256 refusing", refused, 1}, {NULL, NULL, 0}};
