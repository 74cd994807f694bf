/*
 * MD5 states as opaque objects: their memory belongs to JavaScript's collector, a type tag tells them from all other objects. A
 * state whose digest was taken is spent and refused from then on.
 */
#include "../kernels/md5.h"

#include <stdlib.h>
#include <string.h>

#include "../kernels/md5_plan.h"
#include "modules.h"
#include "value.h"

static const napi_type_tag tag = {0x686f6c6466617374, 0x6d64352d73746174};

typedef struct {
  hf_md5 md5;
  int spent;
} md5_state;

static void free_state(napi_env env, void *state, void *hint) {
  (void)env;
  (void)hint;
  free(state);
}

static int get_state(napi_env env, napi_value value, md5_state **state) {
  napi_valuetype type;
  bool tagged = false;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_object ||
      napi_check_object_type_tag(env, value, &tag, &tagged) != napi_ok || !tagged ||
      napi_unwrap(env, value, (void **)state) != napi_ok) {
    hf_throw_type(env, "state", "what md5Create returned");
    return 0;
  }
  if ((*state)->spent) hf_throw_range(env, "state", "is spent: its digest was taken");
  return !(*state)->spent;
}

/* md5Create() -> state */
static napi_value create(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value object;
  HF_NAPI(env, napi_create_object(env, &object));
  md5_state *state = malloc(sizeof *state);
  if (state == NULL) {
    napi_throw_error(env, NULL, "no memory for an MD5 state");
    return NULL;
  }
  hf_md5_init(&state->md5);
  state->spent = 0;
  if (napi_wrap(env, object, state, free_state, NULL, NULL) != napi_ok) {
    free(state);
    hf_throw_last(env);
    return NULL;
  }
  HF_NAPI(env, napi_type_tag_object(env, object, &tag));
  return object;
}

/* md5Update(state, bytes) */
static napi_value update(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  md5_state *state;
  hf_bytes bytes;
  if (!hf_arguments(env, info, 2, arguments) || !get_state(env, arguments[0], &state) ||
      !hf_get_bytes(env, arguments[1], "bytes", &bytes)) {
    return NULL;
  }
  hf_md5_update(&state->md5, bytes.bytes, bytes.length);
  return NULL;
}

static napi_value digest_of(napi_env env, hf_md5 *md5) {
  uint8_t digest[HF_MD5_BYTES];
  hf_md5_final(md5, digest);
  return hf_buffer(env, digest, sizeof digest);
}

/* md5Digest(state) -> Buffer; the state is spent */
static napi_value digest(napi_env env, napi_callback_info info) {
  napi_value argument;
  md5_state *state;
  if (!hf_arguments(env, info, 1, &argument) || !get_state(env, argument, &state)) return NULL;
  state->spent = 1;
  return digest_of(env, &state->md5);
}

/* md5(bytes) -> Buffer */
static napi_value md5_of(napi_env env, napi_callback_info info) {
  napi_value argument;
  hf_bytes bytes;
  hf_md5 md5;
  if (!hf_arguments(env, info, 1, &argument) || !hf_get_bytes(env, argument, "bytes", &bytes)) return NULL;
  hf_md5_init(&md5);
  hf_md5_update(&md5, bytes.bytes, bytes.length);
  return digest_of(env, &md5);
}

/* Reads the states of an array, all of them distinct. */
static int get_states(napi_env env, napi_value value, hf_md5 *states[HF_MD5_LANES_MAX], uint32_t *count) {
  bool is_array = false;
  if (napi_is_array(env, value, &is_array) != napi_ok || !is_array || napi_get_array_length(env, value, count) != napi_ok) {
    hf_throw_type(env, "states", "an array of MD5 states");
    return 0;
  }
  if (*count > HF_MD5_LANES_MAX) {
    hf_throw_range(env, "states", "has more than 16 entries");
    return 0;
  }
  for (uint32_t i = 0; i < *count; i++) {
    napi_value entry;
    md5_state *state;
    if (napi_get_element(env, value, i, &entry) != napi_ok) {
      hf_throw_last(env);
      return 0;
    }
    if (!get_state(env, entry, &state)) return 0;
    states[i] = &state->md5;
    for (uint32_t before = 0; before < i; before++) {
      if (states[before] != states[i]) continue;
      hf_throw_range(env, "states", "has a state twice");
      return 0;
    }
  }
  return 1;
}

/* md5UpdateMany(states, views): views[i] into states[i]. Nothing is taken in when anything is wrong. */
static napi_value update_many(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  hf_md5 *states[HF_MD5_LANES_MAX];
  hf_bytes views[HF_MD5_LANES_MAX];
  const uint8_t *bytes[HF_MD5_LANES_MAX];
  size_t lengths[HF_MD5_LANES_MAX];
  uint32_t count = 0;
  size_t view_count = 0;
  if (!hf_arguments(env, info, 2, arguments) || !hf_get_bytes_list(env, arguments[1], "views", HF_MD5_LANES_MAX, views, &view_count) ||
      !get_states(env, arguments[0], states, &count)) {
    return NULL;
  }
  if (view_count != count) {
    hf_throw_range(env, "views", "has not as many entries as states");
    return NULL;
  }
  for (size_t i = 0; i < count; i++) {
    bytes[i] = views[i].bytes;
    lengths[i] = views[i].length;
  }
  hf_md5_update_many(states, bytes, lengths, count);
  return NULL;
}

/* md5Kernels() -> string[]: those of the level that md5SelectKernel takes */
static napi_value kernels(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value list;
  HF_NAPI(env, napi_create_array(env, &list));
  for (uint32_t i = 0; hf_md5_plan_kernel(i) != NULL; i++) {
    napi_value name;
    HF_NAPI(env, napi_create_string_utf8(env, hf_md5_plan_kernel(i)->name, NAPI_AUTO_LENGTH, &name));
    HF_NAPI(env, napi_set_element(env, list, i, name));
  }
  return list;
}

/* md5SelectKernel(name): for tests and benchmarks, while no kernel runs; without a name the measured choice */
static napi_value select_kernel(napi_env env, napi_callback_info info) {
  napi_value argument;
  napi_valuetype type;
  char name[24];
  uint32_t index = 0;
  if (!hf_arguments(env, info, 1, &argument)) return NULL;
  HF_NAPI(env, napi_typeof(env, argument, &type));
  if (type == napi_undefined) {
    hf_md5_plan_only(SIZE_MAX);
    return NULL;
  }
  if (napi_get_value_string_utf8(env, argument, name, sizeof name, NULL) != napi_ok) {
    hf_throw_type(env, "kernel", "a string");
    return NULL;
  }
  while (hf_md5_plan_kernel(index) != NULL && strcmp(hf_md5_plan_kernel(index)->name, name) != 0) index++;
  if (hf_md5_plan_kernel(index) == NULL) hf_throw_range(env, "kernel", "is none of this level");
  hf_md5_plan_only(index);
  return NULL;
}

int hf_define_md5(napi_env env, napi_value exports) {
  static const hf_function functions[] = {
      {"md5", md5_of},
      {"md5Create", create},
      {"md5Update", update},
      {"md5Digest", digest},
      {"md5UpdateMany", update_many},
      {"md5Kernels", kernels},
      {"md5SelectKernel", select_kernel},
  };
  return hf_define(env, exports, functions, sizeof functions / sizeof *functions);
}
