#include "../kernels/md5.h"

#include "modules.h"
#include "value.h"

int hf_define_md5(napi_env env, napi_value exports) {
  return hf_define(env, exports, NULL, 0);
}
