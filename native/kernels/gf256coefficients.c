/* The matrices of codec 1, as src/coding/cauchy.ts defines them. */
#include <stdlib.h>
#include <string.h>

#include "gf256.h"
#include "gf256field.h"

static int is_geometry(size_t k, size_t m) {
  return k >= 1 && k <= HF_SHARDS_MAX && m <= HF_SHARDS_MAX - k;
}

/* Of data shard `column` in the shard with index `parity` (k or above). */
static uint8_t parity_coefficient(size_t parity, size_t column) {
  return hf_gf256_inverse((uint8_t)(parity ^ column));
}

int hf_gf256_parity_coefficients(size_t k, size_t m, uint8_t *coefficients) {
  if (!is_geometry(k, m)) return 0;
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < k; j++) coefficients[i * k + j] = parity_coefficient(k + i, j);
  }
  return 1;
}

static void scale(uint8_t *row, uint8_t factor, size_t count) {
  for (size_t i = 0; i < count; i++) row[i] = hf_gf256_multiply(row[i], factor);
}

static void swap(uint8_t *a, uint8_t *b, size_t count) {
  for (size_t i = 0; i < count && a != b; i++) {
    uint8_t kept = a[i];
    a[i] = b[i];
    b[i] = kept;
  }
}

/* Gauss-Jordan elimination of rows [matrix | identity], `size` of each 2 * size wide. Returns 0 for a singular matrix. */
static int invert(uint8_t *rows, size_t size) {
  size_t width = 2 * size;
  for (size_t column = 0; column < size; column++) {
    size_t pivot = column;
    while (pivot < size && rows[pivot * width + column] == 0) pivot++;
    if (pivot == size) return 0;
    uint8_t *chosen = rows + column * width;
    swap(chosen, rows + pivot * width, width);
    scale(chosen, hf_gf256_inverse(chosen[column]), width);
    for (size_t i = 0; i < size; i++) {
      uint8_t factor = rows[i * width + column];
      if (i != column && factor != 0) hf_gf256_add_multiple(rows + i * width, chosen, factor, width);
    }
  }
  return 1;
}

/* Which shards a decode computes from. The data shards that are not sources are lost; as many sources are parities. */
typedef struct {
  size_t k;
  const uint8_t *sources;
  size_t lost_count;
  uint8_t lost[HF_SHARDS_MAX];
  uint8_t parity_positions[HF_SHARDS_MAX]; /* in `sources` */
} decode_plan;

/* Returns 0 when a source is out of range or named twice. */
static int make_plan(decode_plan *plan, size_t k, size_t m, const uint8_t *sources) {
  uint8_t is_source[HF_SHARDS_MAX] = {0};
  size_t parities = 0;
  plan->k = k;
  plan->sources = sources;
  for (size_t p = 0; p < k; p++) {
    if (sources[p] >= k + m || is_source[sources[p]]) return 0;
    is_source[sources[p]] = 1;
    if (sources[p] >= k) plan->parity_positions[parities++] = (uint8_t)p;
  }
  plan->lost_count = 0;
  for (size_t j = 0; j < k; j++) {
    if (!is_source[j]) plan->lost[plan->lost_count++] = (uint8_t)j;
  }
  return 1;
}

/* Adds `factor` times the equation of a parity source to `row`: its value, less what the known data shards contribute to it. */
static void add_equation(const decode_plan *plan, size_t position, uint8_t factor, uint8_t *row) {
  for (size_t p = 0; p < plan->k; p++) {
    uint8_t index = plan->sources[p];
    if (index < plan->k) row[p] ^= hf_gf256_multiply(factor, parity_coefficient(plan->sources[position], index));
  }
  row[position] ^= factor;
}

/* The lost data shards over the sources, lost_count x k. `scratch` has 2 * lost_count squared bytes. */
static int solve_lost(const decode_plan *plan, uint8_t *scratch, uint8_t *solved) {
  size_t count = plan->lost_count;
  memset(scratch, 0, 2 * count * count);
  for (size_t e = 0; e < count; e++) {
    uint8_t *row = scratch + e * 2 * count;
    for (size_t u = 0; u < count; u++) row[u] = parity_coefficient(plan->sources[plan->parity_positions[e]], plan->lost[u]);
    row[count + e] = 1;
  }
  if (!invert(scratch, count)) return 0;
  memset(solved, 0, count * plan->k);
  for (size_t u = 0; u < count; u++) {
    const uint8_t *inverse = scratch + u * 2 * count + count;
    for (size_t e = 0; e < count; e++) add_equation(plan, plan->parity_positions[e], inverse[e], solved + u * plan->k);
  }
  return 1;
}

/* Adds `factor` times data shard j, as a combination of the sources, to `row`. */
static void add_data(const decode_plan *plan, const uint8_t *solved, size_t j, uint8_t factor, uint8_t *row) {
  for (size_t u = 0; u < plan->lost_count; u++) {
    if (plan->lost[u] != j) continue;
    hf_gf256_add_multiple(row, solved + u * plan->k, factor, plan->k);
    return;
  }
  for (size_t p = 0; p < plan->k; p++) {
    if (plan->sources[p] == j) row[p] ^= factor;
  }
}

int hf_gf256_decode_coefficients(size_t k, size_t m, const uint8_t *sources, const uint8_t *wanted, size_t wanted_count,
                                 uint8_t *coefficients) {
  decode_plan plan;
  if (!is_geometry(k, m) || !make_plan(&plan, k, m, sources)) return 0;
  for (size_t w = 0; w < wanted_count; w++) {
    if (wanted[w] >= k + m) return 0;
  }
  size_t scratch_bytes = 2 * plan.lost_count * plan.lost_count;
  uint8_t *scratch = malloc(scratch_bytes + plan.lost_count * k + 1);
  if (scratch == NULL) return 0;
  uint8_t *solved = scratch + scratch_bytes;
  int done = solve_lost(&plan, scratch, solved);
  memset(coefficients, 0, wanted_count * k);
  for (size_t w = 0; done && w < wanted_count; w++) {
    uint8_t *row = coefficients + w * k;
    if (wanted[w] < k) {
      add_data(&plan, solved, wanted[w], 1, row);
    } else {
      for (size_t j = 0; j < k; j++) add_data(&plan, solved, j, parity_coefficient(wanted[w], j), row);
    }
  }
  free(scratch);
  return done;
}
