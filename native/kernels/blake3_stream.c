/* Messages in pieces. A group enters the tree when something follows it; until then it might be the root's. */
#include "blake3_tree.h"

#define GROUP_CHUNKS (HF_BLAKE3_GROUP_BYTES / HF_BLAKE3_CHUNK_BYTES)
#define STRETCH_GROUPS (HF_BLAKE3_STRETCH / GROUP_CHUNKS)
#define STRETCH_BYTES ((size_t)HF_BLAKE3_STRETCH * HF_BLAKE3_CHUNK_BYTES)

void hf_blake3_stream_init(hf_blake3_stream *stream, const hf_blake3_params *params) {
  stream->params = *params;
  stream->buffered = 0;
  hf_blake3_tree_init(&stream->tree);
}

static size_t fill_buffer(hf_blake3_stream *stream, const uint8_t *input, size_t length) {
  const size_t room = HF_BLAKE3_GROUP_BYTES - stream->buffered, some = length < room ? length : room;
  if (some > 0) memcpy(stream->buffer + stream->buffered, input, some);
  stream->buffered += some;
  return some;
}

static void push_group(hf_blake3_stream *stream, const uint8_t *group) {
  uint8_t cv[HF_BLAKE3_CV_BYTES];
  hf_blake3_group(&stream->params, group, stream->tree.leaves * GROUP_CHUNKS, cv);
  hf_blake3_tree_push(&stream->params, &stream->tree, cv, 1);
}

void hf_blake3_stream_update(hf_blake3_stream *stream, const uint8_t *input, size_t length) {
  if (stream->buffered > 0) {
    const size_t some = fill_buffer(stream, input, length);
    if (some == length) return;
    input += some;
    length -= some;
    push_group(stream, stream->buffer);
    stream->buffered = 0;
  }
  while (length > HF_BLAKE3_GROUP_BYTES) {
    if (stream->tree.leaves % STRETCH_GROUPS == 0 && length > STRETCH_BYTES) {
      uint8_t cvs[HF_BLAKE3_STRETCH * HF_BLAKE3_CV_BYTES];
      hf_blake3_chunks(&stream->params, input, STRETCH_BYTES, stream->tree.leaves * GROUP_CHUNKS, cvs);
      hf_blake3_reduce(&stream->params, cvs, HF_BLAKE3_STRETCH, 1);
      hf_blake3_tree_push(&stream->params, &stream->tree, cvs, STRETCH_GROUPS);
      input += STRETCH_BYTES;
      length -= STRETCH_BYTES;
    } else {
      push_group(stream, input);
      input += HF_BLAKE3_GROUP_BYTES;
      length -= HF_BLAKE3_GROUP_BYTES;
    }
  }
  fill_buffer(stream, input, length);
}

void hf_blake3_stream_final(const hf_blake3_stream *stream, uint8_t *output, size_t output_bytes) {
  if (stream->tree.depth == 0) {
    hf_blake3(&stream->params, stream->buffer, stream->buffered, output, output_bytes);
    return;
  }
  uint8_t rest[HF_BLAKE3_CV_BYTES];
  hf_blake3_output last;
  hf_blake3_leaf(&stream->params, stream->buffer, stream->buffered, stream->tree.leaves * GROUP_CHUNKS, rest);
  hf_blake3_tree_root(&stream->params, &stream->tree, rest, &last);
  hf_blake3_root_output(&last, output, output_bytes);
}
