/*
 * BLAKE3 for JavaScript. `data` is a Uint8Array or an array of at most PIECES_MAX of them, hashed one behind the other; `output`
 * receives as many bytes of the extendable output as it has; a `key` that may be missing makes it the keyed mode. Shared memory may
 * change while it is read: then the hash is of no particular state of it, nothing worse.
 */
#include "../kernels/blake3.h"

#include <stdlib.h>

#include "modules.h"
#include "value.h"

#define PIECES_MAX 256
#define MANY_MAX 1024
#define CONTEXT_BYTES_MAX 4096
#define LENGTH_MAX ((uint64_t)1 << 53)

typedef struct {
  hf_bytes pieces[PIECES_MAX];
  size_t count;
} data;

static int get_data(napi_env env, napi_value value, const char *what, data *read) {
  bool is_array = false;
  if (napi_is_array(env, value, &is_array) == napi_ok && is_array)
    return hf_get_bytes_list(env, value, what, PIECES_MAX, read->pieces, &read->count);
  read->count = 1;
  return hf_get_bytes(env, value, what, &read->pieces[0]);
}

static int get_params(napi_env env, napi_value value, hf_blake3_params *params) {
  hf_bytes key;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_undefined) {
    hf_blake3_params_init(params, HF_BLAKE3_HASH, NULL);
    return 1;
  }
  if (!hf_get_bytes_of(env, value, "key", HF_BLAKE3_KEY_BYTES, &key)) return 0;
  hf_blake3_params_init(params, HF_BLAKE3_KEYED, key.bytes);
  return 1;
}

static int get_group_bytes(napi_env env, napi_value value, size_t *group_bytes) {
  uint64_t number = 0;
  if (!hf_get_size(env, value, "groupBytes", HF_BLAKE3_GROUP_BYTES, &number)) return 0;
  if (number != HF_BLAKE3_CHUNK_BYTES && number != HF_BLAKE3_GROUP_BYTES) {
    hf_throw_range(env, "groupBytes", "must be 1024 or 16384");
    return 0;
  }
  *group_bytes = (size_t)number;
  return 1;
}

static int is_apart(napi_env env, const hf_bytes *output, const hf_bytes *inputs, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (hf_overlap(output->bytes, output->length, inputs[i].bytes, inputs[i].length)) {
      hf_throw_range(env, "output", "overlaps the input");
      return 0;
    }
  }
  return 1;
}

static napi_value hash_data(napi_env env, const hf_blake3_params *params, const data *input, const hf_bytes *output) {
  if (!is_apart(env, output, input->pieces, input->count)) return NULL;
  if (input->count == 1) {
    hf_blake3(params, input->pieces[0].bytes, input->pieces[0].length, output->bytes, output->length);
    return NULL;
  }
  hf_blake3_stream stream;
  hf_blake3_stream_init(&stream, params);
  for (size_t i = 0; i < input->count; i++) hf_blake3_stream_update(&stream, input->pieces[i].bytes, input->pieces[i].length);
  hf_blake3_stream_final(&stream, output->bytes, output->length);
  return NULL;
}

/* blake3Hash(data, output) */
static napi_value hash(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  hf_blake3_params params;
  data input;
  hf_bytes output;
  if (!hf_arguments(env, info, 2, arguments) || !get_data(env, arguments[0], "data", &input)) return NULL;
  if (!hf_get_bytes(env, arguments[1], "output", &output)) return NULL;
  hf_blake3_params_init(&params, HF_BLAKE3_HASH, NULL);
  return hash_data(env, &params, &input, &output);
}

/* blake3Keyed(key, data, output) */
static napi_value keyed(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  hf_blake3_params params;
  data input;
  hf_bytes key, output;
  if (!hf_arguments(env, info, 3, arguments) || !get_data(env, arguments[1], "data", &input)) return NULL;
  if (!hf_get_bytes_of(env, arguments[0], "key", HF_BLAKE3_KEY_BYTES, &key)) return NULL;
  if (!hf_get_bytes(env, arguments[2], "output", &output)) return NULL;
  hf_blake3_params_init(&params, HF_BLAKE3_KEYED, key.bytes);
  return hash_data(env, &params, &input, &output);
}

/* blake3Derive(context, material, output): the context is a string */
static napi_value derive(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  hf_blake3_params params;
  data material;
  hf_bytes output;
  char context[CONTEXT_BYTES_MAX + 1];
  size_t context_bytes = 0;
  uint8_t context_key[HF_BLAKE3_KEY_BYTES];
  if (!hf_arguments(env, info, 3, arguments) || !get_data(env, arguments[1], "material", &material)) return NULL;
  if (!hf_get_bytes(env, arguments[2], "output", &output)) return NULL;
  if (napi_get_value_string_utf8(env, arguments[0], NULL, 0, &context_bytes) != napi_ok) {
    hf_throw_type(env, "context", "a string");
    return NULL;
  }
  if (context_bytes > CONTEXT_BYTES_MAX) {
    hf_throw_range(env, "context", "is longer than 4096 bytes");
    return NULL;
  }
  HF_NAPI(env, napi_get_value_string_utf8(env, arguments[0], context, sizeof context, &context_bytes));
  hf_blake3_params_init(&params, HF_BLAKE3_DERIVE_CONTEXT, NULL);
  hf_blake3(&params, (const uint8_t *)context, context_bytes, context_key, sizeof context_key);
  hf_blake3_params_init(&params, HF_BLAKE3_DERIVE_KEY, context_key);
  return hash_data(env, &params, &material, &output);
}

/* blake3Many(list, outputs, key?): 32 bytes of `outputs` for each entry */
static napi_value many(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  hf_blake3_params params;
  hf_bytes list[MANY_MAX], outputs;
  const uint8_t *inputs[MANY_MAX];
  size_t lengths[MANY_MAX], count = 0;
  if (!hf_arguments(env, info, 3, arguments) || !hf_get_bytes_list(env, arguments[0], "list", MANY_MAX, list, &count)) return NULL;
  if (!hf_get_bytes_of(env, arguments[1], "outputs", count * HF_BLAKE3_BYTES, &outputs)) return NULL;
  if (!get_params(env, arguments[2], &params) || !is_apart(env, &outputs, list, count)) return NULL;
  for (size_t i = 0; i < count; i++) {
    inputs[i] = list[i].bytes;
    lengths[i] = list[i].length;
  }
  hf_blake3_many(&params, inputs, lengths, count, outputs.bytes);
  return NULL;
}

/* blake3Groups(bytes, firstChunk, output, key?): chaining values of whole groups that are not the whole message */
static napi_value groups(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  hf_blake3_params params;
  hf_bytes bytes, output;
  uint64_t first_chunk = 0;
  if (!hf_arguments(env, info, 4, arguments) || !hf_get_bytes(env, arguments[0], "bytes", &bytes)) return NULL;
  if (!hf_get_size(env, arguments[1], "firstChunk", LENGTH_MAX / HF_BLAKE3_CHUNK_BYTES, &first_chunk)) return NULL;
  const size_t count = bytes.length / HF_BLAKE3_GROUP_BYTES, chunks = HF_BLAKE3_GROUP_BYTES / HF_BLAKE3_CHUNK_BYTES;
  if (bytes.length % HF_BLAKE3_GROUP_BYTES != 0 || first_chunk % chunks != 0) {
    hf_throw_range(env, bytes.length % HF_BLAKE3_GROUP_BYTES != 0 ? "bytes" : "firstChunk", "must be of whole groups");
    return NULL;
  }
  if (!hf_get_bytes_of(env, arguments[2], "output", count * HF_BLAKE3_BYTES, &output)) return NULL;
  if (!get_params(env, arguments[3], &params) || !is_apart(env, &output, &bytes, 1)) return NULL;
  for (size_t done = 0; done < count; done += chunks) {
    const uint8_t *starts[16];
    uint64_t firsts[16];
    size_t some = 0;
    for (; some < 16 && done + some < count; some++) {
      starts[some] = bytes.bytes + (done + some) * HF_BLAKE3_GROUP_BYTES;
      firsts[some] = first_chunk + (done + some) * chunks;
    }
    if (some == 1) {
      hf_blake3_group(&params, starts[0], firsts[0], output.bytes + done * HF_BLAKE3_BYTES);
    } else {
      hf_blake3_groups(&params, starts, firsts, some, output.bytes + done * HF_BLAKE3_BYTES);
    }
  }
  return NULL;
}

/* blake3FromGroups(chainingValues, rest, output, key?): the hash of a message of more than one group */
static napi_value from_groups(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  hf_blake3_params params;
  hf_bytes inputs[2], output;
  if (!hf_arguments(env, info, 4, arguments) || !hf_get_bytes(env, arguments[0], "chainingValues", &inputs[0])) return NULL;
  if (!hf_get_bytes(env, arguments[1], "rest", &inputs[1])) return NULL;
  if (!hf_get_bytes_of(env, arguments[2], "output", HF_BLAKE3_BYTES, &output)) return NULL;
  const uint64_t count = inputs[0].length / HF_BLAKE3_BYTES;
  const uint64_t length = count * HF_BLAKE3_GROUP_BYTES + inputs[1].length;
  if (inputs[0].length % HF_BLAKE3_BYTES != 0) {
    hf_throw_range(env, "chainingValues", "must have 32 bytes each");
    return NULL;
  }
  if (inputs[1].length >= HF_BLAKE3_GROUP_BYTES || length <= HF_BLAKE3_GROUP_BYTES) {
    hf_throw_range(env, "rest", "must be less than a group, of a message longer than one");
    return NULL;
  }
  if (!get_params(env, arguments[3], &params) || !is_apart(env, &output, inputs, 2)) return NULL;
  hf_blake3_from_groups(&params, inputs[0].bytes, inputs[1].bytes, length, output.bytes);
  return NULL;
}

/* blake3Outboard(bytes, groupBytes, key?) -> {outboard, root} */
static napi_value outboard(napi_env env, napi_callback_info info) {
  napi_value arguments[3], result, buffer, root_buffer;
  hf_blake3_params params;
  hf_bytes bytes;
  size_t group_bytes = 0;
  void *nodes = NULL;
  uint8_t root[HF_BLAKE3_BYTES];
  if (!hf_arguments(env, info, 3, arguments) || !hf_get_bytes(env, arguments[0], "bytes", &bytes)) return NULL;
  if (!get_group_bytes(env, arguments[1], &group_bytes) || !get_params(env, arguments[2], &params)) return NULL;
  HF_NAPI(env, napi_create_buffer(env, hf_blake3_outboard_bytes(bytes.length, group_bytes), &nodes, &buffer));
  hf_blake3_outboard(&params, bytes.bytes, bytes.length, group_bytes, (uint8_t *)nodes, root);
  root_buffer = hf_buffer(env, root, sizeof root);
  if (root_buffer == NULL) return NULL;
  HF_NAPI(env, napi_create_object(env, &result));
  HF_NAPI(env, napi_set_named_property(env, result, "outboard", buffer));
  HF_NAPI(env, napi_set_named_property(env, result, "root", root_buffer));
  return result;
}

/* blake3Proof(outboard, length, groupBytes, leaf) -> the parents above a leaf, root first */
static napi_value proof(napi_env env, napi_callback_info info) {
  napi_value arguments[4], buffer;
  hf_bytes nodes;
  uint64_t length = 0, leaf = 0;
  size_t group_bytes = 0;
  void *path = NULL;
  if (!hf_arguments(env, info, 4, arguments) || !hf_get_bytes(env, arguments[0], "outboard", &nodes)) return NULL;
  if (!hf_get_size(env, arguments[1], "length", LENGTH_MAX, &length)) return NULL;
  if (!get_group_bytes(env, arguments[2], &group_bytes)) return NULL;
  if (!hf_get_size(env, arguments[3], "leaf", hf_blake3_leaves(length, group_bytes) - 1, &leaf)) return NULL;
  if (nodes.length != hf_blake3_outboard_bytes(length, group_bytes)) {
    hf_throw_range(env, "outboard", "does not belong to this length");
    return NULL;
  }
  HF_NAPI(env, napi_create_buffer(env, hf_blake3_proof_bytes(length, group_bytes, leaf), &path, &buffer));
  hf_blake3_proof(nodes.bytes, length, group_bytes, leaf, (uint8_t *)path);
  return buffer;
}

/* blake3VerifyProof(root, length, groupBytes, leaf, bytes, proof, key?) -> boolean */
static napi_value verify_proof(napi_env env, napi_callback_info info) {
  napi_value arguments[7], result;
  hf_blake3_params params;
  hf_bytes root, bytes, path;
  uint64_t length = 0, leaf = 0;
  size_t group_bytes = 0;
  if (!hf_arguments(env, info, 7, arguments) || !hf_get_bytes_of(env, arguments[0], "root", HF_BLAKE3_BYTES, &root)) return NULL;
  if (!hf_get_size(env, arguments[1], "length", LENGTH_MAX, &length)) return NULL;
  if (!get_group_bytes(env, arguments[2], &group_bytes)) return NULL;
  if (!hf_get_size(env, arguments[3], "leaf", LENGTH_MAX, &leaf) || !hf_get_bytes(env, arguments[4], "bytes", &bytes)) return NULL;
  if (!hf_get_bytes(env, arguments[5], "proof", &path) || !get_params(env, arguments[6], &params)) return NULL;
  const int good = hf_blake3_verify_proof(&params, root.bytes, length, group_bytes, leaf, bytes.bytes, bytes.length, path.bytes,
                                          path.length);
  HF_NAPI(env, napi_get_boolean(env, good != 0, &result));
  return result;
}

/*
 * ---- blake3Short(scratch, key?) -> hash(length) ----
 *
 * Names and MACs are hashes of some tens of bytes, where most of a call is finding out what was passed. Here that is done once: the
 * caller writes the message to `scratch` from its 33rd byte on, hash(length) puts 32 bytes at its beginning. The scratch lies in
 * shared memory, which cannot be taken away while there is a reference to it.
 */

typedef struct {
  hf_blake3_params params;
  napi_ref scratch;
  uint8_t *bytes;
  size_t message_bytes_max;
} short_hash;

static void free_short(napi_env env, void *bound, void *hint) {
  (void)hint;
  napi_delete_reference(env, ((short_hash *)bound)->scratch);
  free(bound);
}

static napi_value hash_short(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  void *data = NULL;
  uint64_t length = 0;
  HF_NAPI(env, napi_get_cb_info(env, info, &count, &argument, NULL, &data));
  const short_hash *bound = data;
  if (!hf_get_size(env, argument, "length", bound->message_bytes_max, &length)) return NULL;
  hf_blake3(&bound->params, bound->bytes + HF_BLAKE3_BYTES, (size_t)length, bound->bytes, HF_BLAKE3_BYTES);
  return NULL;
}

static napi_value bind_short(napi_env env, napi_callback_info info) {
  napi_value arguments[2], memory, function;
  hf_blake3_params params;
  hf_bytes scratch;
  bool is_private = true;
  if (!hf_arguments(env, info, 2, arguments) || !hf_get_bytes(env, arguments[0], "scratch", &scratch)) return NULL;
  HF_NAPI(env, napi_get_typedarray_info(env, arguments[0], NULL, NULL, NULL, &memory, NULL));
  HF_NAPI(env, napi_is_arraybuffer(env, memory, &is_private));
  if (is_private || scratch.length < HF_BLAKE3_BYTES) {
    hf_throw_range(env, "scratch", "must be 32 bytes or more of shared memory");
    return NULL;
  }
  if (!get_params(env, arguments[1], &params)) return NULL;
  short_hash *bound = malloc(sizeof *bound);
  if (bound == NULL) {
    napi_throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "no memory for a hash");
    return NULL;
  }
  *bound = (short_hash){params, NULL, scratch.bytes, scratch.length - HF_BLAKE3_BYTES};
  if (napi_create_reference(env, arguments[0], 1, &bound->scratch) != napi_ok) {
    hf_throw_last(env);
    free(bound);
    return NULL;
  }
  if (napi_create_function(env, "hash", NAPI_AUTO_LENGTH, hash_short, bound, &function) != napi_ok ||
      napi_add_finalizer(env, function, bound, free_short, NULL, NULL) != napi_ok) {
    hf_throw_last(env);
    free_short(env, bound, NULL);
    return NULL;
  }
  return function;
}

/* ---- new Blake3Hasher(key?): a message in pieces ---- */

static const napi_type_tag hasher_tag = {0x6b2d1f0a83c94e57u, 0x9e41c70d52ab8f36u};

static void free_hasher(napi_env env, void *stream, void *hint) {
  int64_t now = 0;
  (void)hint;
  free(stream);
  napi_adjust_external_memory(env, -(int64_t)sizeof(hf_blake3_stream), &now);
}

static napi_value new_hasher(napi_env env, napi_callback_info info) {
  napi_value self, argument, target;
  size_t count = 1;
  int64_t now = 0;
  hf_blake3_params params;
  HF_NAPI(env, napi_get_new_target(env, info, &target));
  if (target == NULL) {
    hf_throw_type(env, "Blake3Hasher", "called with new");
    return NULL;
  }
  HF_NAPI(env, napi_get_cb_info(env, info, &count, &argument, &self, NULL));
  if (!get_params(env, argument, &params)) return NULL;
  hf_blake3_stream *stream = malloc(sizeof *stream);
  if (stream == NULL) {
    napi_throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "no memory for a hasher");
    return NULL;
  }
  hf_blake3_stream_init(stream, &params);
  if (napi_wrap(env, self, stream, free_hasher, NULL, NULL) != napi_ok) {
    free(stream);
    hf_throw_last(env);
    return NULL;
  }
  napi_adjust_external_memory(env, (int64_t)sizeof *stream, &now);
  HF_NAPI(env, napi_type_tag_object(env, self, &hasher_tag));
  return self;
}

/* The stream behind `this` and the argument; NULL, and an exception, for another object. */
static hf_blake3_stream *hasher_of(napi_env env, napi_callback_info info, napi_value *self, napi_value *argument) {
  size_t count = 1;
  bool is_hasher = false;
  void *stream = NULL;
  HF_NAPI(env, napi_get_cb_info(env, info, &count, argument, self, NULL));
  if (napi_check_object_type_tag(env, *self, &hasher_tag, &is_hasher) != napi_ok || !is_hasher) {
    hf_throw_type(env, "this", "a Blake3Hasher");
    return NULL;
  }
  HF_NAPI(env, napi_unwrap(env, *self, &stream));
  return stream;
}

/* hasher.update(bytes) -> hasher */
static napi_value update(napi_env env, napi_callback_info info) {
  napi_value self, argument;
  hf_bytes bytes;
  hf_blake3_stream *stream = hasher_of(env, info, &self, &argument);
  if (stream == NULL || !hf_get_bytes(env, argument, "bytes", &bytes)) return NULL;
  hf_blake3_stream_update(stream, bytes.bytes, bytes.length);
  return self;
}

/* hasher.digest(output): the hash of what there is so far; more may follow */
static napi_value digest(napi_env env, napi_callback_info info) {
  napi_value self, argument;
  hf_bytes output;
  const hf_blake3_stream *stream = hasher_of(env, info, &self, &argument);
  if (stream == NULL || !hf_get_bytes(env, argument, "output", &output)) return NULL;
  hf_blake3_stream_final(stream, output.bytes, output.length);
  return NULL;
}

/* hasher.reset() -> hasher: as new, with the same key */
static napi_value reset(napi_env env, napi_callback_info info) {
  napi_value self, argument;
  hf_blake3_stream *stream = hasher_of(env, info, &self, &argument);
  if (stream == NULL) return NULL;
  const hf_blake3_params params = stream->params;
  hf_blake3_stream_init(stream, &params);
  return self;
}

static int define_hasher(napi_env env, napi_value exports) {
  const napi_property_descriptor methods[] = {
      {"update", NULL, update, NULL, NULL, NULL, napi_default_method, NULL},
      {"digest", NULL, digest, NULL, NULL, NULL, napi_default_method, NULL},
      {"reset", NULL, reset, NULL, NULL, NULL, napi_default_method, NULL},
  };
  napi_value constructor;
  if (napi_define_class(env, "Blake3Hasher", NAPI_AUTO_LENGTH, new_hasher, NULL, sizeof methods / sizeof *methods, methods,
                        &constructor) == napi_ok &&
      napi_set_named_property(env, exports, "Blake3Hasher", constructor) == napi_ok) {
    return 1;
  }
  hf_throw_last(env);
  return 0;
}

int hf_define_blake3(napi_env env, napi_value exports) {
  static const hf_function functions[] = {
      {"blake3Hash", hash},          {"blake3Keyed", keyed},   {"blake3Derive", derive},
      {"blake3Many", many},          {"blake3Groups", groups}, {"blake3FromGroups", from_groups},
      {"blake3Outboard", outboard},  {"blake3Proof", proof},   {"blake3VerifyProof", verify_proof},
      {"blake3Short", bind_short},
  };
  return hf_define(env, exports, functions, sizeof functions / sizeof *functions) && define_hasher(env, exports);
}
