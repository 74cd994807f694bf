/* Reed-Solomon for JavaScript. Types are in src/base/native.ts. */
#include "../kernels/gf256.h"

#include <stdio.h>
#include <string.h>

#include "coder.h"
#include "modules.h"
#include "shards.h"
#include "value.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void throw_no_memory(napi_env env) {
  napi_throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "no memory for a matrix");
}

static void free_coder(napi_env env, void *coder, void *hint) {
  (void)env;
  (void)hint;
  hf_coder_free(coder);
}

/* new Gf256Coder(k, m) */
static napi_value construct(napi_env env, napi_callback_info info) {
  napi_value arguments[2], self, target = NULL;
  size_t count = COUNT(arguments);
  uint64_t k, m;
  HF_NAPI(env, napi_get_cb_info(env, info, &count, arguments, &self, NULL));
  HF_NAPI(env, napi_get_new_target(env, info, &target));
  if (target == NULL) {
    hf_throw_type(env, "Gf256Coder", "called with new");
    return NULL;
  }
  if (!hf_get_size(env, arguments[0], "k", HF_SHARDS_MAX, &k) || !hf_get_size(env, arguments[1], "m", HF_SHARDS_MAX, &m)) {
    return NULL;
  }
  if (k < 1 || k + m > HF_SHARDS_MAX) {
    hf_throw_range(env, "k and m", "must be k >= 1 and k + m <= 255");
    return NULL;
  }
  hf_coder *coder = hf_coder_new(k, m);
  if (coder == NULL) {
    throw_no_memory(env);
    return NULL;
  }
  if (napi_wrap(env, self, coder, free_coder, NULL, NULL) != napi_ok) {
    hf_coder_free(coder);
    hf_throw_last(env);
    return NULL;
  }
  return self;
}

/* The coder of `this` and exactly `count` arguments. V8 itself refuses a `this` that the class did not make. */
static hf_coder *coder_of(napi_env env, napi_callback_info info, size_t count, napi_value *arguments) {
  napi_value self;
  void *coder = NULL;
  HF_NAPI(env, napi_get_cb_info(env, info, &count, arguments, &self, NULL));
  if (napi_unwrap(env, self, &coder) != napi_ok) {
    hf_throw_type(env, "this", "a Gf256Coder");
    return NULL;
  }
  return coder;
}

static void combine_shards(const hf_gf256_matrix *matrix, const hf_shards *sources, const hf_shards *outputs, size_t length) {
  hf_gf256_combine(matrix, (const uint8_t *const *)sources->bytes, outputs->bytes, length);
}

/* Checks that the outputs may be written and encodes. */
static void encode_shards(napi_env env, hf_coder *coder, const hf_shards *data, const hf_shards *parity, size_t length) {
  if (parity->count == 0 || length == 0 || !hf_shards_disjoint(env, data, parity, length)) return;
  const hf_gf256_matrix *matrix = hf_coder_parity(coder);
  if (matrix == NULL) {
    throw_no_memory(env);
    return;
  }
  combine_shards(matrix, data, parity, length);
}

/* encode(data, parity) */
static napi_value encode(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  hf_shards data, parity;
  size_t length = SIZE_MAX;
  hf_coder *coder = coder_of(env, info, COUNT(arguments), arguments);
  if (coder == NULL) return NULL;
  if (!hf_shards_collect(env, arguments[0], "data", hf_coder_k(coder), &data)) return NULL;
  if (!hf_shards_collect(env, arguments[1], "parity", hf_coder_m(coder), &parity)) return NULL;
  if (!hf_shards_resolve(env, "a data shard", &length, &data)) return NULL;
  if (!hf_shards_resolve(env, "a parity shard", &length, &parity)) return NULL;
  encode_shards(env, coder, &data, &parity, length);
  return NULL;
}

/* `count` shards of `length` bytes one after the other, which the area must be. */
static int split_area(napi_env env, napi_value value, const char *what, size_t count, size_t length, hf_shards *shards) {
  hf_bytes area;
  if (!hf_get_bytes(env, value, what, &area)) return 0;
  int fits = count == 0 ? area.length == 0 : area.length % count == 0 && area.length / count == length;
  if (!fits) {
    char problem[96];
    snprintf(problem, sizeof problem, "has %zu bytes, not %zu shards of %zu", area.length, count, length);
    hf_throw_range(env, what, problem);
    return 0;
  }
  shards->count = count;
  for (size_t i = 0; i < count; i++) {
    shards->bytes[i] = length == 0 ? area.bytes : area.bytes + i * length;
    shards->is_there[i] = 1;
  }
  return 1;
}

/* encodeArea(data, parity, shardBytes) */
static napi_value encode_area(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  hf_shards data, parity;
  uint64_t length;
  hf_coder *coder = coder_of(env, info, COUNT(arguments), arguments);
  if (coder == NULL) return NULL;
  if (!hf_get_size(env, arguments[2], "shardBytes", SIZE_MAX, &length)) return NULL;
  if (!split_area(env, arguments[0], "data", hf_coder_k(coder), length, &data)) return NULL;
  if (!split_area(env, arguments[1], "parity", hf_coder_m(coder), length, &parity)) return NULL;
  encode_shards(env, coder, &data, &parity, length);
  return NULL;
}

/* The first k shards that are there become the sources, as in src/coding/shards.ts. */
static int choose_sources(napi_env env, size_t k, const hf_shards *present, hf_shards *sources, uint8_t *indices) {
  sources->count = 0;
  for (size_t i = 0; i < present->count && sources->count < k; i++) {
    if (!present->is_there[i]) continue;
    indices[sources->count] = (uint8_t)i;
    sources->bytes[sources->count++] = present->bytes[i];
  }
  if (sources->count == k) return 1;
  hf_throw_range(env, "present", "has fewer than k shards");
  return 0;
}

/* Copies the indices, which may lie in shared memory, and checks the copy. */
static int read_wanted(napi_env env, const hf_shards *present, const hf_bytes *wanted, uint8_t *indices) {
  if (wanted->length > 0) memcpy(indices, wanted->bytes, wanted->length);
  for (size_t i = 0; i < wanted->length; i++) {
    if (indices[i] >= present->count) {
      hf_throw_range(env, "a wanted index", "is not below k + m");
      return 0;
    }
    if (present->is_there[indices[i]]) {
      hf_throw_range(env, "a wanted shard", "is present");
      return 0;
    }
  }
  return 1;
}

/* decode(present, wanted, outputs) */
static napi_value decode(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  hf_shards present, sources, outputs;
  hf_bytes wanted;
  uint8_t source_indices[HF_SHARDS_MAX];
  uint8_t wanted_indices[HF_SHARDS_MAX];
  size_t length = SIZE_MAX;
  hf_coder *coder = coder_of(env, info, COUNT(arguments), arguments);
  if (coder == NULL) return NULL;
  size_t k = hf_coder_k(coder);
  size_t shard_count = k + hf_coder_m(coder);
  if (!hf_get_bytes(env, arguments[1], "wanted", &wanted)) return NULL;
  if (wanted.length > shard_count) {
    hf_throw_range(env, "wanted", "has more than k + m indices");
    return NULL;
  }
  size_t wanted_count = wanted.length;
  if (!hf_shards_collect(env, arguments[0], "present", shard_count, &present)) return NULL;
  if (!hf_shards_collect(env, arguments[2], "outputs", wanted_count, &outputs)) return NULL;
  if (!hf_get_bytes_of(env, arguments[1], "wanted", wanted_count, &wanted)) return NULL;
  if (!hf_shards_resolve_some(env, "a present shard", &length, &present)) return NULL;
  if (!hf_shards_resolve(env, "an output", &length, &outputs)) return NULL;
  if (!choose_sources(env, k, &present, &sources, source_indices)) return NULL;
  if (wanted_count == 0) return NULL;
  if (!read_wanted(env, &present, &wanted, wanted_indices)) return NULL;
  if (length == 0 || !hf_shards_disjoint(env, &present, &outputs, length)) return NULL;
  const hf_gf256_matrix *matrix = hf_coder_decode(coder, source_indices, wanted_indices, wanted_count);
  if (matrix == NULL) {
    throw_no_memory(env);
    return NULL;
  }
  combine_shards(matrix, &sources, &outputs, length);
  return NULL;
}

/* gf256Combine(matrix, rows, columns, sources, outputs) */
static napi_value combine(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  hf_shards sources, outputs;
  hf_bytes coefficients;
  uint64_t rows, columns;
  size_t length = SIZE_MAX;
  if (!hf_arguments(env, info, COUNT(arguments), arguments)) return NULL;
  if (!hf_get_size(env, arguments[1], "rows", HF_SHARDS_MAX, &rows)) return NULL;
  if (!hf_get_size(env, arguments[2], "columns", HF_SHARDS_MAX, &columns)) return NULL;
  if (rows == 0 || columns == 0) {
    hf_throw_range(env, "rows and columns", "must be at least 1");
    return NULL;
  }
  if (!hf_shards_collect(env, arguments[3], "sources", columns, &sources)) return NULL;
  if (!hf_shards_collect(env, arguments[4], "outputs", rows, &outputs)) return NULL;
  if (!hf_get_bytes_of(env, arguments[0], "matrix", rows * columns, &coefficients)) return NULL;
  if (!hf_shards_resolve(env, "a source", &length, &sources)) return NULL;
  if (!hf_shards_resolve(env, "an output", &length, &outputs)) return NULL;
  if (length == 0 || !hf_shards_disjoint(env, &sources, &outputs, length)) return NULL;
  hf_gf256_matrix *matrix = hf_gf256_matrix_new(coefficients.bytes, rows, columns);
  if (matrix == NULL) {
    throw_no_memory(env);
    return NULL;
  }
  combine_shards(matrix, &sources, &outputs, length);
  hf_gf256_matrix_free(matrix);
  return NULL;
}

int hf_define_gf256(napi_env env, napi_value exports) {
  static const hf_function functions[] = {{"gf256Combine", combine}};
  const napi_property_descriptor methods[] = {
      {"encode", NULL, encode, NULL, NULL, NULL, napi_default_method, NULL},
      {"encodeArea", NULL, encode_area, NULL, NULL, NULL, napi_default_method, NULL},
      {"decode", NULL, decode, NULL, NULL, NULL, napi_default_method, NULL},
  };
  napi_value coder_class;
  if (!hf_define(env, exports, functions, COUNT(functions))) return 0;
  if (napi_define_class(env, "Gf256Coder", NAPI_AUTO_LENGTH, construct, NULL, COUNT(methods), methods, &coder_class) != napi_ok ||
      napi_set_named_property(env, exports, "Gf256Coder", coder_class) != napi_ok) {
    hf_throw_last(env);
    return 0;
  }
  return 1;
}
