/* Jobs that end in plaintext: from memory, from files, and from files some of which cannot be read. Checked before a thread sees them. */
#include <string.h>

#include "../engine/chunks.h"
#include "../engine/files.h"
#include "../engine/rebuild.h"
#include "../kernels/gcm.h"
#include "../kernels/wipe.h"
#include "modules.h"
#include "runtime.h"
#include "value.h"

#define KEYS_BYTES (HF_GCM_KEY_BYTES + HF_GCM_NONCE_BYTES)
/* What is read at once lies in every fragment once at most. */
#define PIECES_MAX HF_SHARDS_MAX

/* A part of the ciphertext: where it lies, or of which fragment, from which offset on, it is to be computed. */
typedef struct {
  int is_lost;
  size_t index;
  hf_read_piece at;
} open_piece;

typedef struct {
  hf_job job;
  hf_stream_keys keys;
  uint64_t first_index;
  int final;
  const uint8_t *sealed;
  size_t sealed_bytes;
  uint8_t *plaintext;
  hf_rebuild *rebuild; /* NULL when nothing is lost, else in the memory of the job, behind the pieces */
  size_t piece_count;
  open_piece pieces[];
} open_job;

static void run_open(hf_task *task, hf_worker *worker) {
  open_job *job = (open_job *)task;
  uint64_t chunks = 0;
  uint64_t plaintext_bytes = 0;
  if (worker->opener == NULL) {
    hf_job_done(&job->job, HF_JOB_CIPHER_FAILED, 0);
    return;
  }
  uint64_t opened = hf_open_run(worker->opener, &job->keys, job->first_index, job->sealed, job->sealed_bytes, job->final,
                                job->plaintext, &chunks, &plaintext_bytes);
  hf_wipe(&job->keys, sizeof job->keys);
  if (chunks == 0) hf_job_done(&job->job, HF_JOB_BAD_LENGTH, 0);
  else if (opened < chunks) hf_job_done(&job->job, HF_JOB_BAD_TAG, (double)opened);
  else hf_job_done(&job->job, HF_JOB_OK, (double)plaintext_bytes);
}

/* Chunks that are read and opened before the next ones are: their ciphertext stays in the second-level cache. */
#define CHUNKS_PER_SLICE 8
#define SLICE_BYTES (CHUNKS_PER_SLICE * HF_CHUNK_SEALED_BYTES)
/* Where the columns of a rebuilt part go, behind the slice. */
#define SCRATCH_AT (SLICE_BYTES + 4096 - SLICE_BYTES % 4096)
#define SCRATCH_BYTES (HF_STAGING_BYTES - SCRATCH_AT)

/* Puts `length` bytes of the piece, from `from` on, into `target`. Returns the code of the outcome. */
static int32_t fetch(open_job *job, const open_piece *piece, uint64_t from, uint8_t *target, size_t length, uint8_t *scratch) {
  size_t failed = 0;
  int error = 0;
  if (!piece->is_lost) {
    hf_read_piece part = {piece->at.file, piece->at.position + from, length};
    if (hf_read_range(&part, 0, target, length, job->job.now, &failed, &error)) return HF_JOB_OK;
    return error != 0 ? error : HF_JOB_SHORT_READ;
  }
  switch (hf_rebuild_range(job->rebuild, piece->index, piece->at.position + from, target, length, scratch, SCRATCH_BYTES, job->job.now,
                           &error)) {
    case HF_REBUILD_OK:
      return HF_JOB_OK;
    case HF_REBUILD_NO_MEMORY:
      return HF_JOB_NO_MEMORY;
    case HF_REBUILD_BAD_GEOMETRY:
      return HF_JOB_BAD_GEOMETRY;
    default:
      return error != 0 ? error : HF_JOB_SHORT_READ;
  }
}

/* Reads and opens slice by slice. Returns the code of the outcome. */
static int32_t read_and_open_slices(open_job *job, hf_worker *worker, double *value) {
  uint8_t *memory = hf_staging(worker);
  uint64_t total_bytes = 0;
  size_t piece = 0;
  uint64_t from = 0;
  if (memory == NULL) return HF_JOB_NO_MEMORY;
  if (job->sealed_bytes == 0) return HF_JOB_BAD_LENGTH;
  if (worker->opener == NULL) return HF_JOB_CIPHER_FAILED;
  for (size_t at = 0; at < job->sealed_bytes;) {
    size_t bytes = job->sealed_bytes - at < SLICE_BYTES ? job->sealed_bytes - at : SLICE_BYTES;
    int last = at + bytes == job->sealed_bytes;
    uint64_t first_index = job->first_index + at / HF_CHUNK_SEALED_BYTES;
    uint64_t chunks = 0;
    uint64_t opened_bytes = 0;
    for (size_t filled = 0; filled < bytes;) {
      size_t left = job->pieces[piece].at.length - (size_t)from;
      size_t length = bytes - filled < left ? bytes - filled : left;
      int32_t code = length == 0 ? HF_JOB_OK : fetch(job, &job->pieces[piece], from, memory + filled, length, memory + SCRATCH_AT);
      if (code != HF_JOB_OK) {
        *value = (double)piece;
        return code;
      }
      filled += length;
      from += length;
      if (length == left) {
        piece++;
        from = 0;
      }
    }
    uint64_t opened = hf_open_run(worker->opener, &job->keys, first_index, memory, bytes, job->final && last,
                                  job->plaintext + total_bytes, &chunks, &opened_bytes);
    if (chunks == 0) return HF_JOB_BAD_LENGTH;
    if (opened < chunks) {
      *value = (double)(first_index - job->first_index + opened);
      return HF_JOB_BAD_TAG;
    }
    total_bytes += opened_bytes;
    at += bytes;
  }
  *value = (double)total_bytes;
  return HF_JOB_OK;
}

static void run_read_and_open(hf_task *task, hf_worker *worker) {
  open_job *job = (open_job *)task;
  double value = 0;
  int32_t code = read_and_open_slices(job, worker, &value);
  hf_wipe(&job->keys, sizeof job->keys);
  if (job->rebuild != NULL) hf_rebuild_end(job->rebuild);
  hf_job_done(&job->job, code, value);
}

/* Reads ciphertext, plaintext, keys, firstChunkIndex, final; room for the pieces that follow, and what they are rebuilt from or NULL. */
static open_job *new_open_job(napi_env env, const napi_value *arguments, size_t piece_count, const hf_rebuild *rebuild) {
  hf_bytes ciphertext, plaintext, keys;
  uint64_t first_index = 0;
  bool final = false;
  if (!hf_get_bytes(env, arguments[1], "ciphertext", &ciphertext) || !hf_get_bytes(env, arguments[2], "plaintext", &plaintext) ||
      !hf_get_bytes_of(env, arguments[3], "keys", KEYS_BYTES, &keys) ||
      !hf_get_size(env, arguments[4], "firstChunkIndex", HF_CHUNK_INDEX_MAX, &first_index)) {
    return NULL;
  }
  if (napi_get_value_bool(env, arguments[5], &final) != napi_ok) {
    hf_throw_type(env, "final", "a boolean");
    return NULL;
  }
  uint64_t whole = ciphertext.length / HF_CHUNK_SEALED_BYTES;
  if (hf_opened_run_bytes(ciphertext.length) > plaintext.length) {
    hf_throw_range(env, "plaintext", "is too small for what is to be opened");
    return NULL;
  }
  if (!hf_is_apart(env, "plaintext", plaintext, ciphertext)) return NULL;
  if (first_index + whole > HF_CHUNK_INDEX_MAX) {
    hf_throw_range(env, "firstChunkIndex", "goes beyond the last chunk of a stream");
    return NULL;
  }
  size_t rebuild_bytes = rebuild == NULL ? 0 : sizeof *rebuild;
  open_job *job = hf_job_new(env, arguments[0], sizeof *job + piece_count * sizeof *job->pieces + rebuild_bytes);
  if (job == NULL) return NULL;
  if (rebuild != NULL) {
    job->rebuild = (hf_rebuild *)(void *)(job->pieces + piece_count);
    *job->rebuild = *rebuild;
  }
  memcpy(job->keys.key, keys.bytes, HF_GCM_KEY_BYTES);
  memcpy(job->keys.base_nonce, keys.bytes + HF_GCM_KEY_BYTES, HF_GCM_NONCE_BYTES);
  job->first_index = first_index;
  job->final = final;
  job->sealed = ciphertext.bytes;
  job->sealed_bytes = ciphertext.length;
  job->plaintext = plaintext.bytes;
  job->piece_count = piece_count;
  return job;
}

/* openChunks(id, ciphertext, plaintext, keys, firstChunkIndex, final) -> value: plaintext bytes */
static napi_value open_chunks(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  if (!hf_arguments(env, info, 6, arguments)) return NULL;
  open_job *job = new_open_job(env, arguments, 0, NULL);
  return job == NULL ? NULL : hf_job_submit(env, &job->job, HF_POOL_COMPUTE, run_open);
}

#define NUMBERS_MAX (3 * (PIECES_MAX + HF_SHARDS_MAX))
#define POSITION_MAX 9007199254740992.0
#define FRAGMENT_BYTES_MAX (1 << 30)

/* Copies the numbers: shared memory can change between a check and its use. Throws and returns 0 when they are not threes of at most `max`. */
static int get_threes(napi_env env, napi_value value, const char *what, size_t max, double *numbers, size_t *count) {
  napi_typedarray_type type;
  void *data = NULL;
  size_t length = 0;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, NULL, NULL) != napi_ok || type != napi_float64_array) {
    hf_throw_type(env, what, "a Float64Array");
    return 0;
  }
  if (length % 3 != 0 || length / 3 > max) {
    hf_throw_range(env, what, "must have three numbers for each, and not so many");
    return 0;
  }
  if (length > 0) memcpy(numbers, data, length * sizeof *numbers);
  *count = length / 3;
  return 1;
}

/* A whole number from 0 to `max`, which is at most 2^53. */
static int is_within(double number, double max) {
  return number >= 0 && number <= max && number == (double)(uint64_t)number;
}

/* Pieces that lie in files, and, with `shards` above 0, pieces of lost fragments below it. 0 when they do not make up the ciphertext. */
static int fill_pieces(open_job *job, const double *number, size_t shards) {
  size_t at = 0;
  for (size_t i = 0; i < job->piece_count; i++, number += 3) {
    int is_lost = number[0] < 0;
    int valid = (is_lost ? is_within(-1 - number[0], (double)shards - 1) : is_within(number[0], INT32_MAX)) &&
                is_within(number[1], is_lost ? FRAGMENT_BYTES_MAX : POSITION_MAX) &&
                is_within(number[2], (double)(job->sealed_bytes - at)) &&
                (!is_lost || number[1] + number[2] <= FRAGMENT_BYTES_MAX);
    if (!valid) return 0;
    hf_read_piece where = {is_lost ? -1 : (int)number[0], (uint64_t)number[1], (size_t)number[2]};
    job->pieces[i] = (open_piece){is_lost, is_lost ? (size_t)(-number[0]) - 1 : 0, where};
    at += where.length;
  }
  return at == job->sealed_bytes;
}

/* 0 when the sources are not k different fragments of k + m that lie in files. */
static int fill_sources(hf_rebuild *rebuild, const double *number) {
  uint8_t seen[HF_SHARDS_MAX] = {0};
  for (size_t i = 0; i < rebuild->k; i++, number += 3) {
    if (!is_within(number[0], (double)(rebuild->k + rebuild->m - 1)) || seen[(size_t)number[0]]) return 0;
    if (!is_within(number[1], INT32_MAX) || !is_within(number[2], POSITION_MAX)) return 0;
    seen[(size_t)number[0]] = 1;
    rebuild->indices[i] = (uint8_t)number[0];
    rebuild->sources[i] = (hf_read_piece){(int)number[1], (uint64_t)number[2], FRAGMENT_BYTES_MAX};
  }
  return 1;
}

/* Pieces of a job and what it rebuilds from, which may be NULL. */
static napi_value submit_pieces(napi_env env, const napi_value *arguments, const double *pieces, size_t count, const hf_rebuild *rebuild) {
  open_job *job = new_open_job(env, arguments, count, rebuild);
  if (job == NULL) return NULL;
  if (!fill_pieces(job, pieces, rebuild == NULL ? 0 : rebuild->k + rebuild->m)) {
    hf_throw_range(env, "pieces", "must lie in files and make up the ciphertext");
    hf_job_discard(job);
    return NULL;
  }
  return hf_job_submit(env, &job->job, HF_POOL_FILES, run_read_and_open);
}

/*
 * readAndOpen(id, ciphertext, plaintext, keys, firstChunkIndex, final, pieces): of the ciphertext only the length counts. `pieces` is a
 * Float64Array with descriptor, position and length of each; together they are the ciphertext. At once only from the page cache: EAGAIN
 * where that does not have it.
 */
static napi_value read_and_open(napi_env env, napi_callback_info info) {
  napi_value arguments[7];
  double pieces[NUMBERS_MAX];
  size_t count = 0;
  if (!hf_arguments(env, info, 7, arguments) || !get_threes(env, arguments[6], "pieces", PIECES_MAX, pieces, &count)) return NULL;
  return submit_pieces(env, arguments, pieces, count, NULL);
}

/*
 * rebuildAndOpen(id, ciphertext, plaintext, keys, firstChunkIndex, final, pieces, k, m, sources): as readAndOpen, but a piece may be of a
 * fragment that cannot be read: -1 - index, offset in the fragment, and length. `sources` has index, descriptor and position of the
 * beginning of k fragments that can.
 */
static napi_value rebuild_and_open(napi_env env, napi_callback_info info) {
  napi_value arguments[10];
  double pieces[NUMBERS_MAX], sources[NUMBERS_MAX];
  size_t count = 0;
  size_t source_count = 0;
  uint64_t k = 0;
  uint64_t m = 0;
  if (!hf_arguments(env, info, 10, arguments) || !get_threes(env, arguments[6], "pieces", PIECES_MAX, pieces, &count) ||
      !hf_get_size(env, arguments[7], "k", HF_SHARDS_MAX, &k) || !hf_get_size(env, arguments[8], "m", HF_SHARDS_MAX, &m) ||
      !get_threes(env, arguments[9], "sources", HF_SHARDS_MAX, sources, &source_count)) {
    return NULL;
  }
  hf_rebuild rebuild = {.k = (size_t)k, .m = (size_t)m};
  if (k == 0 || k + m > HF_SHARDS_MAX || source_count != k || !fill_sources(&rebuild, sources)) {
    hf_throw_range(env, "sources", "must be k of a geometry of codec 1");
    return NULL;
  }
  return submit_pieces(env, arguments, pieces, count, &rebuild);
}

int hf_define_open_jobs(napi_env env, napi_value exports) {
  static const hf_function functions[] = {
      {"openChunks", open_chunks}, {"readAndOpen", read_and_open}, {"rebuildAndOpen", rebuild_and_open},
  };
  return hf_define(env, exports, functions, sizeof functions / sizeof *functions);
}
