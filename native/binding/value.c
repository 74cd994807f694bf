#include "value.h"

#include <stdio.h>

void hf_throw_last(napi_env env) {
  bool pending = false;
  const napi_extended_error_info *info = NULL;
  napi_get_last_error_info(env, &info);
  const char *message = info != NULL && info->error_message != NULL ? info->error_message : "a Node-API call failed";
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, NULL, message);
}

void hf_throw_type(napi_env env, const char *what, const char *expected) {
  char message[160];
  snprintf(message, sizeof message, "%s must be %s", what, expected);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
}

void hf_throw_range(napi_env env, const char *what, const char *problem) {
  char message[160];
  snprintf(message, sizeof message, "%s %s", what, problem);
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
}

int hf_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments) {
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) == napi_ok) return 1;
  hf_throw_last(env);
  return 0;
}

int hf_get_bytes(napi_env env, napi_value value, const char *what, hf_bytes *bytes) {
  napi_typedarray_type type;
  void *data = NULL;
  size_t length = 0;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, NULL, NULL) != napi_ok || type != napi_uint8_array) {
    hf_throw_type(env, what, "a Uint8Array");
    return 0;
  }
  bytes->bytes = (uint8_t *)data;
  bytes->length = length;
  return 1;
}

int hf_get_bytes_of(napi_env env, napi_value value, const char *what, size_t length, hf_bytes *bytes) {
  if (!hf_get_bytes(env, value, what, bytes)) return 0;
  if (bytes->length == length) return 1;
  char problem[80];
  snprintf(problem, sizeof problem, "has %zu bytes, not %zu", bytes->length, length);
  hf_throw_range(env, what, problem);
  return 0;
}

int hf_get_optional_bytes(napi_env env, napi_value value, const char *what, hf_bytes *bytes) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_undefined) {
    *bytes = (hf_bytes){NULL, 0};
    return 1;
  }
  return hf_get_bytes(env, value, what, bytes);
}

int hf_get_size(napi_env env, napi_value value, const char *what, uint64_t max, uint64_t *number) {
  double given = 0;
  if (napi_get_value_double(env, value, &given) != napi_ok) {
    hf_throw_type(env, what, "a number");
    return 0;
  }
  if (!(given >= 0 && given <= 9007199254740992.0 && given <= (double)max) || given != (double)(uint64_t)given) {
    char problem[80];
    snprintf(problem, sizeof problem, "must be a whole number from 0 to %llu", (unsigned long long)max);
    hf_throw_range(env, what, problem);
    return 0;
  }
  *number = (uint64_t)given;
  return 1;
}

int hf_get_entries(napi_env env, napi_value value, const char *what, size_t max, napi_value *entries, size_t *count) {
  bool is_array = false;
  uint32_t length = 0;
  if (napi_is_array(env, value, &is_array) != napi_ok || !is_array || napi_get_array_length(env, value, &length) != napi_ok) {
    hf_throw_type(env, what, "an array of Uint8Arrays");
    return 0;
  }
  if (length > max) {
    hf_throw_range(env, what, "has too many entries");
    return 0;
  }
  for (uint32_t i = 0; i < length; i++) {
    if (napi_get_element(env, value, i, &entries[i]) != napi_ok) {
      hf_throw_last(env);
      return 0;
    }
  }
  *count = length;
  return 1;
}

int hf_get_bytes_each(napi_env env, const napi_value *entries, size_t count, const char *what, hf_bytes *list) {
  for (size_t i = 0; i < count; i++) {
    if (!hf_get_bytes(env, entries[i], what, &list[i])) return 0;
  }
  return 1;
}

int hf_get_bytes_list(napi_env env, napi_value value, const char *what, size_t max, hf_bytes *list, size_t *count) {
  napi_value entries[HF_LIST_MAX];
  if (max > HF_LIST_MAX) max = HF_LIST_MAX;
  return hf_get_entries(env, value, what, max, entries, count) && hf_get_bytes_each(env, entries, *count, what, list);
}

int hf_overlap(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length) {
  uintptr_t low = (uintptr_t)a;
  uintptr_t high = (uintptr_t)b;
  if (a_length == 0 || b_length == 0) return 0;
  return low < high ? high - low < a_length : low - high < b_length;
}

int hf_is_apart(napi_env env, const char *what, hf_bytes written, hf_bytes other) {
  if (!hf_overlap(written.bytes, written.length, other.bytes, other.length)) return 1;
  hf_throw_range(env, what, "overlaps something else");
  return 0;
}

napi_value hf_buffer(napi_env env, const uint8_t *bytes, size_t length) {
  napi_value buffer;
  HF_NAPI(env, napi_create_buffer_copy(env, length, bytes, NULL, &buffer));
  return buffer;
}

int hf_define(napi_env env, napi_value exports, const hf_function *functions, size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_property_descriptor descriptor = {functions[i].name, NULL, functions[i].call,   NULL, NULL, NULL,
                                           napi_default_jsproperty, NULL};
    if (napi_define_properties(env, exports, 1, &descriptor) != napi_ok) {
      hf_throw_last(env);
      return 0;
    }
  }
  return 1;
}
