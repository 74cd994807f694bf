#include "stripe.h"

#include <stdlib.h>
#include <string.h>

#include "columns.h"

/*
 * A stripe full of one stream: each chunk lies in one fragment, so the chunks of a column are sealed, coded and hashed before the
 * next column is touched.
 */
static int seal_columns(hf_gcm *gcm, const hf_stripe *stripe, const hf_run *run, hf_columns *columns) {
  size_t per_fragment = stripe->fragment_bytes / HF_CHUNK_SEALED_BYTES;
  if (!hf_gcm_set_key(gcm, run->keys.key)) return 0;
  for (size_t row = 0; row < per_fragment; row++) {
    for (size_t j = 0; j < stripe->k; j++) {
      size_t chunk = j * per_fragment + row;
      const uint8_t *plaintext = run->plaintext + chunk * HF_CHUNK_PLAINTEXT_BYTES;
      uint8_t *sealed = stripe->fragments + j * stripe->fragment_bytes + row * HF_CHUNK_SEALED_BYTES;
      if (!hf_seal_chunk(gcm, &run->keys, run->first_index + chunk, plaintext, HF_CHUNK_PLAINTEXT_BYTES, sealed)) return 0;
    }
    hf_columns_advance(columns, (row + 1) * HF_CHUNK_SEALED_BYTES);
  }
  return 1;
}

static int seal_runs(hf_gcm *gcm, const hf_stripe *stripe, const hf_run *runs, size_t run_count) {
  size_t at = 0;
  for (size_t i = 0; i < run_count; i++) {
    const hf_run *run = &runs[i];
    uint8_t *target = stripe->fragments + at;
    if (!hf_seal_run(gcm, &run->keys, run->first_index, run->plaintext, run->length, run->final, target)) return 0;
    at += hf_sealed_run_bytes(run->length, run->final);
  }
  memset(stripe->fragments + at, 0, stripe->k * stripe->fragment_bytes - at);
  return 1;
}

hf_stripe_status hf_seal_stripe(hf_gcm *gcm, const hf_stripe *stripe, const hf_run *runs, size_t run_count, uint8_t *roots) {
  hf_columns columns;
  if (gcm == NULL) return HF_STRIPE_CIPHER_FAILED;
  if (!hf_columns_begin(&columns, stripe->fragments, stripe->k, stripe->m, stripe->fragment_bytes)) return HF_STRIPE_NO_MEMORY;
  size_t data_bytes = stripe->k * stripe->fragment_bytes;
  int full = run_count == 1 && !runs[0].final && stripe->fragment_bytes % HF_CHUNK_SEALED_BYTES == 0 &&
             hf_sealed_run_bytes(runs[0].length, 0) == data_bytes;
  int sealed = full ? seal_columns(gcm, stripe, &runs[0], &columns) : seal_runs(gcm, stripe, runs, run_count);
  if (sealed) hf_columns_finish(&columns, roots);
  hf_columns_end(&columns);
  return sealed ? HF_STRIPE_OK : HF_STRIPE_CIPHER_FAILED;
}

hf_stripe_status hf_encode_stripe(const hf_stripe *stripe, size_t payload_bytes, uint8_t *roots) {
  hf_columns columns;
  if (!hf_columns_begin(&columns, stripe->fragments, stripe->k, stripe->m, stripe->fragment_bytes)) return HF_STRIPE_NO_MEMORY;
  memset(stripe->fragments + payload_bytes, 0, stripe->k * stripe->fragment_bytes - payload_bytes);
  hf_columns_finish(&columns, roots);
  hf_columns_end(&columns);
  return HF_STRIPE_OK;
}

hf_stripe_status hf_reconstruct(const hf_reconstruction *job, uint8_t *roots) {
  if (job->wanted_count == 0) return HF_STRIPE_OK;
  uint8_t *coefficients = malloc(job->wanted_count * job->k);
  if (coefficients == NULL) return HF_STRIPE_NO_MEMORY;
  int solved = hf_gf256_decode_coefficients(job->k, job->m, job->source_indices, job->wanted_indices, job->wanted_count, coefficients);
  hf_gf256_matrix *matrix = solved ? hf_gf256_matrix_new(coefficients, job->wanted_count, job->k) : NULL;
  free(coefficients);
  if (matrix == NULL) return solved ? HF_STRIPE_NO_MEMORY : HF_STRIPE_BAD_GEOMETRY;
  hf_gf256_combine(matrix, job->sources, job->wanted, job->length);
  hf_gf256_matrix_free(matrix);
  hf_blake3_params hash;
  hf_blake3_params_init(&hash, HF_BLAKE3_HASH, NULL);
  for (size_t i = 0; i < job->wanted_count; i++) {
    hf_blake3(&hash, job->wanted[i], job->length, roots + i * HF_BLAKE3_BYTES, HF_BLAKE3_BYTES);
  }
  return HF_STRIPE_OK;
}
