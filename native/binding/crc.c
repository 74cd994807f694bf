/* The CRCs as pure functions of bytes and the value before them. A CRC-32 is a number, a CRC-64 a BigInt. */
#include "../kernels/crc.h"

#include "modules.h"
#include "value.h"

static int is_undefined(napi_env env, napi_value value) {
  napi_valuetype type;
  return napi_typeof(env, value, &type) == napi_ok && type == napi_undefined;
}

static int get_crc32(napi_env env, napi_value value, const char *what, uint32_t *crc) {
  uint64_t number;
  if (!hf_get_size(env, value, what, UINT32_MAX, &number)) return 0;
  *crc = (uint32_t)number;
  return 1;
}

static int get_crc64(napi_env env, napi_value value, const char *what, uint64_t *crc) {
  bool lossless = false;
  if (napi_get_value_bigint_uint64(env, value, crc, &lossless) != napi_ok) {
    hf_throw_type(env, what, "a BigInt");
    return 0;
  }
  if (!lossless) hf_throw_range(env, what, "must be from 0 to 2^64 - 1");
  return lossless;
}

static napi_value number_of(napi_env env, uint32_t crc) {
  napi_value number;
  HF_NAPI(env, napi_create_uint32(env, crc, &number));
  return number;
}

static napi_value bigint_of(napi_env env, uint64_t crc) {
  napi_value bigint;
  HF_NAPI(env, napi_create_bigint_uint64(env, crc, &bigint));
  return bigint;
}

static napi_value update_32(napi_env env, napi_callback_info info, uint32_t (*update)(uint32_t, const uint8_t *, size_t)) {
  napi_value arguments[2];
  hf_bytes bytes;
  uint32_t before = 0;
  if (!hf_arguments(env, info, 2, arguments) || !hf_get_bytes(env, arguments[0], "bytes", &bytes)) return NULL;
  if (!is_undefined(env, arguments[1]) && !get_crc32(env, arguments[1], "initial", &before)) return NULL;
  return number_of(env, update(before, bytes.bytes, bytes.length));
}

static napi_value combine_32(napi_env env, napi_callback_info info, uint32_t (*combine)(uint32_t, uint32_t, uint64_t)) {
  napi_value arguments[3];
  uint32_t first, second;
  uint64_t length;
  if (!hf_arguments(env, info, 3, arguments) || !get_crc32(env, arguments[0], "first", &first) ||
      !get_crc32(env, arguments[1], "second", &second) || !hf_get_size(env, arguments[2], "secondLength", UINT64_MAX, &length)) {
    return NULL;
  }
  return number_of(env, combine(first, second, length));
}

/* crc32(bytes, initial = 0) -> number */
static napi_value crc32(napi_env env, napi_callback_info info) {
  return update_32(env, info, hf_crc32);
}

/* crc32c(bytes, initial = 0) -> number */
static napi_value crc32c(napi_env env, napi_callback_info info) {
  return update_32(env, info, hf_crc32c);
}

/* crc64nvme(bytes, initial = 0n) -> bigint */
static napi_value crc64nvme(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  hf_bytes bytes;
  uint64_t before = 0;
  if (!hf_arguments(env, info, 2, arguments) || !hf_get_bytes(env, arguments[0], "bytes", &bytes)) return NULL;
  if (!is_undefined(env, arguments[1]) && !get_crc64(env, arguments[1], "initial", &before)) return NULL;
  return bigint_of(env, hf_crc64nvme(before, bytes.bytes, bytes.length));
}

/* crc32Combine(first, second, secondLength) -> number */
static napi_value crc32_combine(napi_env env, napi_callback_info info) {
  return combine_32(env, info, hf_crc32_combine);
}

/* crc32cCombine(first, second, secondLength) -> number */
static napi_value crc32c_combine(napi_env env, napi_callback_info info) {
  return combine_32(env, info, hf_crc32c_combine);
}

/* crc64nvmeCombine(first, second, secondLength) -> bigint */
static napi_value crc64nvme_combine(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  uint64_t first, second, length;
  if (!hf_arguments(env, info, 3, arguments) || !get_crc64(env, arguments[0], "first", &first) ||
      !get_crc64(env, arguments[1], "second", &second) || !hf_get_size(env, arguments[2], "secondLength", UINT64_MAX, &length)) {
    return NULL;
  }
  return bigint_of(env, hf_crc64nvme_combine(first, second, length));
}

int hf_define_crc(napi_env env, napi_value exports) {
  static const hf_function functions[] = {
      {"crc32", crc32},
      {"crc32c", crc32c},
      {"crc64nvme", crc64nvme},
      {"crc32Combine", crc32_combine},
      {"crc32cCombine", crc32c_combine},
      {"crc64nvmeCombine", crc64nvme_combine},
  };
  return hf_define(env, exports, functions, sizeof functions / sizeof *functions);
}
