/*
 * Holds the Reed-Solomon kernels against ISA-L, an independent implementation of the same code, and measures both.
 *
 *   isal_bench check      compares parities and rebuilt shards at every level; prints "ok", or what differs
 *   isal_bench measure    GB/s of data on one thread, beside the best rate at which the same bytes can be read and written at all
 *
 * Compiled by native/tools/build.js with libisal.
 */
#include <isa-l.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../kernels/gf256.h"

#define SHARD_BYTES_MAX (1 << 20)
#define AREA_BYTES (24 * SHARD_BYTES_MAX) /* of the largest measured geometry, and of 255 short shards */

typedef struct {
  int k, m;
  size_t length;
  uint8_t *shards[HF_SHARDS_MAX]; /* data, then parity */
  uint8_t *spare[HF_SHARDS_MAX];  /* where ours goes */
  uint8_t matrix[HF_SHARDS_MAX * HF_SHARDS_MAX];
  uint8_t tables[32 * HF_SHARDS_MAX * HF_SHARDS_MAX];
} stripe;

static uint8_t *area, *spare_area;
static stripe now;

/* ISA-L leaves the upper halves of the registers in use, which slows every later SSE instruction. */
static void clean_registers(void) {
#ifdef __AVX__
  __builtin_ia32_vzeroupper();
#endif
}

/* Random data and ISA-L's parity, the shards one after the other. */
static void make_stripe(int k, int m, size_t length) {
  now.k = k;
  now.m = m;
  now.length = length;
  for (int i = 0; i < k + m; i++) {
    now.shards[i] = area + i * length;
    now.spare[i] = spare_area + i * length;
  }
  for (size_t i = 0; i < k * length; i++) area[i] = (uint8_t)rand();
  gf_gen_cauchy1_matrix(now.matrix, k + m, k);
  if (m == 0) return;
  ec_init_tables(k, m, now.matrix + k * k, now.tables);
  ec_encode_data((int)length, k, m, now.tables, now.shards, now.shards + k);
  clean_registers();
}

static int fail(const char *what, unsigned lost) {
  printf("%s differ at level %s: %d + %d, %zu bytes, lost %x\n", what, hf_level_name(hf_level_now()), now.k, now.m, now.length, lost);
  return 0;
}

static int check_encode(void) {
  uint8_t coefficients[HF_SHARDS_MAX * HF_SHARDS_MAX];
  size_t k = (size_t)now.k, m = (size_t)now.m;
  if (!hf_gf256_parity_coefficients(k, m, coefficients)) return fail("geometries", 0);
  if (memcmp(coefficients, now.matrix + k * k, k * m) != 0) return fail("parity coefficients", 0);
  if (m == 0) return 1;
  hf_gf256_matrix *matrix = hf_gf256_matrix_new(coefficients, m, k);
  memset(now.spare[0], 0x5a, m * now.length);
  hf_gf256_combine(matrix, (const uint8_t *const *)now.shards, now.spare, now.length);
  hf_gf256_matrix_free(matrix);
  return memcmp(now.spare[0], now.shards[k], m * now.length) == 0 || fail("parities", 0);
}

/* The rows of ISA-L's inverse for the lost data shards must be ours, and all lost shards must come back. */
static int check_decode(unsigned lost) {
  uint8_t sources[HF_SHARDS_MAX], wanted[HF_SHARDS_MAX], rows[64 * 64], inverse[64 * 64], ours[64 * 64];
  const uint8_t *views[HF_SHARDS_MAX];
  size_t k = (size_t)now.k, source_count = 0, wanted_count = 0;
  for (int i = 0; i < now.k + now.m; i++) {
    if ((lost >> i) & 1) {
      wanted[wanted_count++] = (uint8_t)i;
    } else if (source_count < k) {
      memcpy(rows + source_count * k, now.matrix + i * k, k);
      views[source_count] = now.shards[i];
      sources[source_count++] = (uint8_t)i;
    }
  }
  if (wanted_count == 0) return 1;
  if (gf_invert_matrix(rows, inverse, now.k) != 0) return fail("inverses", lost);
  if (!hf_gf256_decode_coefficients(k, (size_t)now.m, sources, wanted, wanted_count, ours)) return fail("plans", lost);
  for (size_t w = 0; w < wanted_count; w++) {
    if (wanted[w] < k && memcmp(ours + w * k, inverse + wanted[w] * k, k) != 0) return fail("decode coefficients", lost);
  }
  hf_gf256_matrix *matrix = hf_gf256_matrix_new(ours, wanted_count, k);
  hf_gf256_combine(matrix, views, now.spare, now.length);
  hf_gf256_matrix_free(matrix);
  for (size_t w = 0; w < wanted_count; w++) {
    if (memcmp(now.spare[w], now.shards[wanted[w]], now.length) != 0) return fail("rebuilt shards", lost);
  }
  return 1;
}

static int check_losses(int k, int m, size_t length) {
  make_stripe(k, m, length);
  if (!check_encode()) return 0;
  for (unsigned lost = 0; lost < 1u << (k + m); lost++) {
    if (__builtin_popcount(lost) <= m && !check_decode(lost)) return 0;
  }
  return 1;
}

/* All losses of all small geometries and of some in use; parities alone of wide ones. */
static int check_level(void) {
  static const int wide[][2] = {{1, 254}, {254, 1}, {128, 127}, {32, 8}, {23, 11}, {11, 21}, {100, 30}};
  for (int k = 1; k <= 8; k++) {
    for (int m = 0; k + m <= 9; m++) {
      if (!check_losses(k, m, 64 + (size_t)(rand() % 300))) return 0;
    }
  }
  if (!check_losses(10, 4, 1000) || !check_losses(12, 3, 777) || !check_losses(6, 6, 513)) return 0;
  for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
    for (size_t length = 64; length < 12000; length = length * 3 + 1) {
      make_stripe(wide[i][0], wide[i][1], length);
      if (!check_encode()) return 0;
    }
  }
  return 1;
}

static int check(void) {
  for (int level = 0; level < HF_LEVEL_COUNT; level++) {
    if (hf_level_select((hf_level)level) && !check_level()) return 1;
  }
  puts("ok");
  return 0;
}

/* What is measured, of the stripe `now`. */
static hf_gf256_matrix *encode_matrix, *decode_matrix;
static const uint8_t *decode_sources[HF_SHARDS_MAX];

static void ours_encode(void) {
  hf_gf256_combine(encode_matrix, (const uint8_t *const *)now.shards, now.shards + now.k, now.length);
}

static void ours_decode(void) {
  hf_gf256_combine(decode_matrix, decode_sources, now.shards, now.length);
}

static void isal_encode(void) {
  ec_encode_data((int)now.length, now.k, now.m, now.tables, now.shards, now.shards + now.k);
  clean_registers();
}

typedef uint64_t wide __attribute__((vector_size(64), aligned(64), may_alias));

/*
 * Reads all data and writes all parity with as little computing as possible, a piece of one shard after another: the more bytes of a
 * shard at a time, the better the processor's prefetchers like it. What can be written is bounded by the best of these.
 */
__attribute__((always_inline)) static inline void move_pieces(size_t piece, int past_cache) {
  for (size_t at = 0; at < now.length; at += piece) {
    wide sums[4] = {{0}};
    for (int j = 0; j < now.k; j++) {
      const wide *source = (const wide *)(void *)(now.shards[j] + at);
      for (size_t i = 0; i < piece / sizeof(wide); i += 4) {
        for (int v = 0; v < 4; v++) sums[v] ^= source[i + v];
      }
    }
    wide sum = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
    for (int i = 0; i < now.m; i++) {
      wide *output = (wide *)(void *)(now.shards[now.k + i] + at);
      for (size_t w = 0; w < piece / sizeof(wide); w++) {
#ifdef __AVX512F__
        if (past_cache) {
          __builtin_ia32_movntdq512((void *)(output + w), (long long __attribute__((vector_size(64))))sum);
          continue;
        }
#endif
        output[w] = sum;
      }
    }
  }
  (void)past_cache;
}

static void move_256(void) {
  move_pieces(256, 0);
}

static void move_4096(void) {
  move_pieces(4096, 0);
}

static void move_32768(void) {
  move_pieces(32768, 0);
}

static void move_past_cache(void) {
  move_pieces(4096, 1);
}

static void (*const candidates[])(void) = {ours_encode, ours_decode, isal_encode, move_256, move_4096, move_32768, move_past_cache};
#define CANDIDATE_COUNT (sizeof candidates / sizeof *candidates)
#define BOUNDS_FROM 3
#define ROUNDS 9
#define ROUND_S 0.012

static double now_s(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* GB/s of data of each candidate in its best round; rounds are interleaved, so that a busy moment hurts all alike. */
static void measure_candidates(double *rates) {
  for (size_t c = 0; c < CANDIDATE_COUNT; c++) rates[c] = 0;
  for (int round = 0; round < ROUNDS; round++) {
    for (size_t c = 0; c < CANDIDATE_COUNT; c++) {
      int calls = 0;
      candidates[c]();
      double started = now_s(), passed;
      do {
        candidates[c]();
        calls++;
        passed = now_s() - started;
      } while (passed < ROUND_S);
      double rate = (double)now.k * (double)now.length * calls / passed / 1e9;
      if (rate > rates[c]) rates[c] = rate;
    }
  }
}

static void prepare(int k, int m) {
  uint8_t coefficients[HF_SHARDS_MAX * HF_SHARDS_MAX], sources[HF_SHARDS_MAX], wanted[HF_SHARDS_MAX];
  hf_gf256_parity_coefficients((size_t)k, (size_t)m, coefficients);
  encode_matrix = hf_gf256_matrix_new(coefficients, (size_t)m, (size_t)k);
  for (int i = 0; i < m; i++) wanted[i] = (uint8_t)i;
  for (int i = 0; i < k; i++) {
    sources[i] = (uint8_t)(m + i);
    decode_sources[i] = now.shards[m + i];
  }
  hf_gf256_decode_coefficients((size_t)k, (size_t)m, sources, wanted, (size_t)m, coefficients);
  decode_matrix = hf_gf256_matrix_new(coefficients, (size_t)m, (size_t)k);
}

static int measure(void) {
  static const int geometries[][2] = {{4, 2}, {10, 4}, {16, 4}};
  static const size_t lengths[] = {64 << 10, 256 << 10, 1 << 20};
  hf_level_select(hf_level_best());
  printf("level %s, GB/s of data\n%-8s %9s %8s %8s %8s %8s %8s\n", hf_level_name(hf_level_now()), "k+m", "shard", "encode", "decode",
         "ISA-L", "bound", "of bound");
  for (size_t g = 0; g < sizeof geometries / sizeof *geometries; g++) {
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
      double rates[CANDIDATE_COUNT], bound = 0;
      make_stripe(geometries[g][0], geometries[g][1], lengths[l]);
      prepare(now.k, now.m);
      measure_candidates(rates);
      for (size_t c = BOUNDS_FROM; c < CANDIDATE_COUNT; c++) bound = rates[c] > bound ? rates[c] : bound;
      printf("%3d + %-3d %8zuK %8.1f %8.1f %8.1f %8.1f %8.2f\n", now.k, now.m, now.length >> 10, rates[0], rates[1], rates[2], bound,
             rates[0] / bound);
      hf_gf256_matrix_free(encode_matrix);
      hf_gf256_matrix_free(decode_matrix);
    }
  }
  return 0;
}

int main(int argc, char **argv) {
  area = aligned_alloc(4096, AREA_BYTES);
  spare_area = aligned_alloc(4096, AREA_BYTES);
  if (area == NULL || spare_area == NULL) return 1;
  memset(spare_area, 0, AREA_BYTES);
  if (argc == 2 && strcmp(argv[1], "check") == 0) return check();
  if (argc == 2 && strcmp(argv[1], "measure") == 0) return measure();
  fprintf(stderr, "usage: isal_bench check|measure\n");
  return 2;
}
