#include "../kernels/crc.h"

#include "modules.h"
#include "value.h"

int hf_define_crc(napi_env env, napi_value exports) {
  return hf_define(env, exports, NULL, 0);
}
