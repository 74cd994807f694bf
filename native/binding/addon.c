/* The addon: what each file of this directory puts on `exports`, and the level of the kernels. Types are in src/base/native.ts. */
#include <pthread.h>
#include <stdlib.h>

#include "../kernels/cpu.h"
#include "modules.h"
#include "value.h"

static pthread_once_t level_chosen = PTHREAD_ONCE_INIT;

/* Once a process, for all threads that load the addon. An unknown or unsupported name is refused by src/base/native.ts. */
static void choose_level(void) {
  const char *wanted = getenv("HOLDFAST_NATIVE");
  hf_level level = wanted != NULL ? hf_level_by_name(wanted) : HF_LEVEL_COUNT;
  if (level == HF_LEVEL_COUNT || !hf_level_select(level)) hf_level_select(hf_level_best());
}

static napi_value level_name(napi_env env, hf_level level) {
  napi_value name;
  HF_NAPI(env, napi_create_string_utf8(env, hf_level_name(level), NAPI_AUTO_LENGTH, &name));
  return name;
}

/* level() -> string */
static napi_value get_level(napi_env env, napi_callback_info info) {
  (void)info;
  return level_name(env, hf_level_now());
}

/* levels() -> string[]: what this processor supports, best last */
static napi_value get_levels(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value list;
  uint32_t count = 0;
  HF_NAPI(env, napi_create_array(env, &list));
  for (int level = 0; level < HF_LEVEL_COUNT; level++) {
    if (!hf_level_supported((hf_level)level)) continue;
    napi_value name = level_name(env, (hf_level)level);
    if (name == NULL) return NULL;
    HF_NAPI(env, napi_set_element(env, list, count++, name));
  }
  return list;
}

/* selectLevel(name): for tests and benchmarks, while no kernel runs */
static napi_value select_level(napi_env env, napi_callback_info info) {
  napi_value argument;
  char name[16];
  size_t length = 0;
  if (!hf_arguments(env, info, 1, &argument)) return NULL;
  if (napi_get_value_string_utf8(env, argument, name, sizeof name, &length) != napi_ok) {
    hf_throw_type(env, "level", "a string");
    return NULL;
  }
  hf_level level = hf_level_by_name(name);
  if (level == HF_LEVEL_COUNT || !hf_level_select(level)) hf_throw_range(env, "level", "is unknown or not supported by this processor");
  return NULL;
}

NAPI_MODULE_INIT(/* env, exports */) {
  static const hf_function functions[] = {{"level", get_level}, {"levels", get_levels}, {"selectLevel", select_level}};
  pthread_once(&level_chosen, choose_level);
  if (!hf_define(env, exports, functions, sizeof functions / sizeof *functions)) return NULL;
  if (!hf_define_gf256(env, exports) || !hf_define_blake3(env, exports) || !hf_define_crc(env, exports) ||
      !hf_define_md5(env, exports) || !hf_define_runtime(env, exports) || !hf_define_stripe_jobs(env, exports) ||
      !hf_define_open_jobs(env, exports) ||
      !hf_define_digest_jobs(env, exports) || !hf_define_file_jobs(env, exports) || !hf_define_socket_jobs(env, exports) ||
      !hf_define_memory(env, exports) || !hf_define_gcm(env, exports)) {
    return NULL;
  }
  return exports;
}
