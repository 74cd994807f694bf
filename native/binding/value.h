/*
 * Reading JavaScript values with checks. Every reader throws a TypeError or RangeError that names the argument and returns 0 when the
 * value is not what it must be; nothing a caller passes can end the process.
 */
#ifndef HF_VALUE_H
#define HF_VALUE_H

#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint8_t *bytes;
  size_t length;
} hf_bytes;

/* Entries that hf_get_bytes_list takes at most. */
#define HF_LIST_MAX 1024

/* Throws when a Node-API call fails, and makes the calling function return NULL. */
#define HF_NAPI(env, call)                                    \
  do {                                                        \
    if ((call) != napi_ok) {                                  \
      hf_throw_last(env);                                     \
      return NULL;                                            \
    }                                                         \
  } while (0)

void hf_throw_last(napi_env env);
void hf_throw_type(napi_env env, const char *what, const char *expected);
void hf_throw_range(napi_env env, const char *what, const char *problem);

/* Reads exactly the arguments that are there, up to `count`; missing ones are undefined. */
int hf_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments);

/* A Uint8Array (or Buffer), in shared memory or not. */
int hf_get_bytes(napi_env env, napi_value value, const char *what, hf_bytes *bytes);
/* The same with a length that is required. */
int hf_get_bytes_of(napi_env env, napi_value value, const char *what, size_t length, hf_bytes *bytes);
/* As hf_get_bytes, where undefined is allowed and gives NULL. */
int hf_get_optional_bytes(napi_env env, napi_value value, const char *what, hf_bytes *bytes);
/* A whole number between 0 and `max`; at most 2^53. */
int hf_get_size(napi_env env, napi_value value, const char *what, uint64_t max, uint64_t *number);
/*
 * The entries of an array of at most `max`. Reading them can run JavaScript (a getter), which can take the memory of a view away; so a
 * call reads all its arrays first and looks for the memory of anything afterwards.
 */
int hf_get_entries(napi_env env, napi_value value, const char *what, size_t max, napi_value *entries, size_t *count);
/* The memory of entries, each of them a Uint8Array. */
int hf_get_bytes_each(napi_env env, const napi_value *entries, size_t count, const char *what, hf_bytes *list);
/* Both, for a call whose only array this is and that has looked for no memory yet. */
int hf_get_bytes_list(napi_env env, napi_value value, const char *what, size_t max, hf_bytes *list, size_t *count);

/* Whether two areas share a byte. */
int hf_overlap(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length);
/* Throws and returns 0 when what a job writes shares bytes with something else that it reads or writes. */
int hf_is_apart(napi_env env, const char *what, hf_bytes written, hf_bytes other);

/* A new Buffer with a copy of the bytes; NULL (and an exception) when there is no memory. */
napi_value hf_buffer(napi_env env, const uint8_t *bytes, size_t length);

typedef struct {
  const char *name;
  napi_callback call;
} hf_function;

/* Puts functions on `exports`, as one descriptor table. Returns 0 when that failed. */
int hf_define(napi_env env, napi_value exports, const hf_function *functions, size_t count);

#endif
