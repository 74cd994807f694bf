#include "coder.h"

#include <stdlib.h>
#include <string.h>

/* A stripe's losses repeat from stripe to stripe; several patterns at a time come from a grid with several bad nodes. */
#define KEPT_MAX 16

typedef struct {
  hf_gf256_matrix *matrix; /* NULL: free */
  uint64_t used_at;
  size_t wanted_count;
  uint8_t sources[HF_SHARDS_MAX];
  uint8_t wanted[HF_SHARDS_MAX];
} kept_decode;

struct hf_coder {
  size_t k;
  size_t m;
  hf_level level; /* that the matrices are for */
  hf_gf256_matrix *parity;
  uint64_t decode_count;
  kept_decode kept[KEPT_MAX];
};

static hf_gf256_matrix *make_parity(size_t k, size_t m) {
  uint8_t *coefficients = malloc(k * m);
  if (coefficients == NULL) return NULL;
  hf_gf256_matrix *matrix = hf_gf256_parity_coefficients(k, m, coefficients) ? hf_gf256_matrix_new(coefficients, m, k) : NULL;
  free(coefficients);
  return matrix;
}

static void drop_matrices(hf_coder *coder) {
  hf_gf256_matrix_free(coder->parity);
  coder->parity = NULL;
  for (size_t i = 0; i < KEPT_MAX; i++) {
    hf_gf256_matrix_free(coder->kept[i].matrix);
    coder->kept[i].matrix = NULL;
  }
}

/* After a change of the level (tests and benchmarks) everything is prepared anew. */
static void follow_level(hf_coder *coder) {
  if (coder->level == hf_level_now()) return;
  drop_matrices(coder);
  coder->level = hf_level_now();
}

hf_coder *hf_coder_new(size_t k, size_t m) {
  if (k < 1 || k > HF_SHARDS_MAX || m > HF_SHARDS_MAX - k) return NULL;
  hf_coder *coder = calloc(1, sizeof *coder);
  if (coder == NULL) return NULL;
  coder->k = k;
  coder->m = m;
  coder->level = hf_level_now();
  return coder;
}

void hf_coder_free(hf_coder *coder) {
  drop_matrices(coder);
  free(coder);
}

size_t hf_coder_k(const hf_coder *coder) {
  return coder->k;
}

size_t hf_coder_m(const hf_coder *coder) {
  return coder->m;
}

const hf_gf256_matrix *hf_coder_parity(hf_coder *coder) {
  follow_level(coder);
  if (coder->parity == NULL) coder->parity = make_parity(coder->k, coder->m);
  return coder->parity;
}

static hf_gf256_matrix *make_decode(const hf_coder *coder, const uint8_t *sources, const uint8_t *wanted, size_t wanted_count) {
  uint8_t *coefficients = malloc(wanted_count * coder->k);
  if (coefficients == NULL) return NULL;
  hf_gf256_matrix *matrix = NULL;
  if (hf_gf256_decode_coefficients(coder->k, coder->m, sources, wanted, wanted_count, coefficients)) {
    matrix = hf_gf256_matrix_new(coefficients, wanted_count, coder->k);
  }
  free(coefficients);
  return matrix;
}

static int is_of(const kept_decode *kept, size_t k, const uint8_t *sources, const uint8_t *wanted, size_t wanted_count) {
  return kept->matrix != NULL && kept->wanted_count == wanted_count && memcmp(kept->wanted, wanted, wanted_count) == 0 &&
         memcmp(kept->sources, sources, k) == 0;
}

const hf_gf256_matrix *hf_coder_decode(hf_coder *coder, const uint8_t *sources, const uint8_t *wanted, size_t wanted_count) {
  follow_level(coder);
  kept_decode *oldest = coder->kept;
  coder->decode_count++;
  for (size_t i = 0; i < KEPT_MAX; i++) {
    kept_decode *kept = &coder->kept[i];
    if (is_of(kept, coder->k, sources, wanted, wanted_count)) {
      kept->used_at = coder->decode_count;
      return kept->matrix;
    }
    if (kept->matrix == NULL || (oldest->matrix != NULL && kept->used_at < oldest->used_at)) oldest = kept;
  }
  hf_gf256_matrix *matrix = make_decode(coder, sources, wanted, wanted_count);
  if (matrix == NULL) return NULL;
  hf_gf256_matrix_free(oldest->matrix);
  oldest->matrix = matrix;
  oldest->used_at = coder->decode_count;
  oldest->wanted_count = wanted_count;
  memcpy(oldest->sources, sources, coder->k);
  memcpy(oldest->wanted, wanted, wanted_count);
  return matrix;
}
