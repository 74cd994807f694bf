#include "../kernels/blake3.h"

#include "modules.h"
#include "value.h"

int hf_define_blake3(napi_env env, napi_value exports) {
  return hf_define(env, exports, NULL, 0);
}
