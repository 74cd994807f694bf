#include "shards.h"

#include <stdio.h>

#include "value.h"

int hf_shards_collect(napi_env env, napi_value array, const char *what, size_t count, hf_shards *shards) {
  bool is_array = false;
  uint32_t length = 0;
  if (napi_is_array(env, array, &is_array) != napi_ok || !is_array || napi_get_array_length(env, array, &length) != napi_ok) {
    hf_throw_type(env, what, "an array of Uint8Arrays");
    return 0;
  }
  if (length != count) {
    char problem[80];
    snprintf(problem, sizeof problem, "has %u entries, not %zu", length, count);
    hf_throw_range(env, what, problem);
    return 0;
  }
  shards->count = count;
  for (uint32_t i = 0; i < length; i++) {
    if (napi_get_element(env, array, i, &shards->values[i]) != napi_ok) {
      hf_throw_last(env);
      return 0;
    }
  }
  return 1;
}

static int resolve_one(napi_env env, const char *what, size_t *length, hf_shards *shards, size_t i) {
  hf_bytes view;
  if (*length == SIZE_MAX) {
    if (!hf_get_bytes(env, shards->values[i], what, &view)) return 0;
    *length = view.length;
  } else if (!hf_get_bytes_of(env, shards->values[i], what, *length, &view)) {
    return 0;
  }
  shards->bytes[i] = view.bytes;
  shards->is_there[i] = 1;
  return 1;
}

int hf_shards_resolve(napi_env env, const char *what, size_t *length, hf_shards *shards) {
  for (size_t i = 0; i < shards->count; i++) {
    if (!resolve_one(env, what, length, shards, i)) return 0;
  }
  return 1;
}

int hf_shards_resolve_some(napi_env env, const char *what, size_t *length, hf_shards *shards) {
  for (size_t i = 0; i < shards->count; i++) {
    napi_valuetype type;
    shards->bytes[i] = NULL;
    shards->is_there[i] = 0;
    if (napi_typeof(env, shards->values[i], &type) == napi_ok && type == napi_undefined) continue;
    if (!resolve_one(env, what, length, shards, i)) return 0;
  }
  return 1;
}

int hf_shards_disjoint(napi_env env, const hf_shards *sources, const hf_shards *outputs, size_t length) {
  for (size_t i = 0; i < outputs->count; i++) {
    for (size_t j = 0; j < sources->count; j++) {
      if (sources->is_there[j] && hf_overlap(outputs->bytes[i], length, sources->bytes[j], length)) {
        hf_throw_range(env, "an output", "overlaps a source");
        return 0;
      }
    }
    for (size_t j = 0; j < i; j++) {
      if (hf_overlap(outputs->bytes[i], length, outputs->bytes[j], length)) {
        hf_throw_range(env, "an output", "overlaps another output");
        return 0;
      }
    }
  }
  return 1;
}
