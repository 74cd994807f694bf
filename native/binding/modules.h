/* What each file of the binding adds to `exports`; 0 when that failed and an exception is pending. */
#ifndef HF_MODULES_H
#define HF_MODULES_H

#include <node_api.h>

int hf_define_gf256(napi_env env, napi_value exports);
int hf_define_blake3(napi_env env, napi_value exports);
int hf_define_crc(napi_env env, napi_value exports);
int hf_define_md5(napi_env env, napi_value exports);
int hf_define_runtime(napi_env env, napi_value exports);
int hf_define_stripe_jobs(napi_env env, napi_value exports);
int hf_define_open_jobs(napi_env env, napi_value exports);
int hf_define_digest_jobs(napi_env env, napi_value exports);
int hf_define_file_jobs(napi_env env, napi_value exports);
int hf_define_socket_jobs(napi_env env, napi_value exports);
int hf_define_memory(napi_env env, napi_value exports);
int hf_define_gcm(napi_env env, napi_value exports);

#endif
