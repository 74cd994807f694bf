/*
 * Lists of shards as JavaScript passes them. Reading an array can run JavaScript (a getter), which can take the memory of a view away;
 * so all arrays of a call are collected first and the memory is looked up afterwards, when nothing else runs until the kernel returns.
 */
#ifndef HF_SHARDS_H
#define HF_SHARDS_H

#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

#include "../kernels/gf256.h"

typedef struct {
  size_t count;
  napi_value values[HF_SHARDS_MAX];
  uint8_t *bytes[HF_SHARDS_MAX]; /* NULL for an entry that is undefined */
  uint8_t is_there[HF_SHARDS_MAX];
} hf_shards;

/* The entries of an array of exactly `count`. Returns 0 and throws when it is none, or has another length. */
int hf_shards_collect(napi_env env, napi_value array, const char *what, size_t count, hf_shards *shards);

/* Looks the memory up. All must be Uint8Arrays of one length; the first sets `*length` when that is SIZE_MAX. */
int hf_shards_resolve(napi_env env, const char *what, size_t *length, hf_shards *shards);

/* The same, where entries may be undefined. */
int hf_shards_resolve_some(napi_env env, const char *what, size_t *length, hf_shards *shards);

/* Throws and returns 0 when an output shares bytes with a source or with another output. */
int hf_shards_disjoint(napi_env env, const hf_shards *sources, const hf_shards *outputs, size_t length);

#endif
