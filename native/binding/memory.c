/* Memory for pools of large buffers: whole pages of their own, in huge ones where the system has them, so that they fault and miss seldom. */
#include <stdlib.h>
#include <sys/mman.h>

#include "modules.h"
#include "value.h"

#define HUGE_PAGE_BYTES (UINT64_C(2) * 1024 * 1024)
#define MEMORY_BYTES_MAX (UINT64_C(1) << 32)

typedef struct {
  void *mapped;
  size_t mapped_bytes;
} mapping;

static void unmap(napi_env env, void *data, void *hint) {
  (void)env;
  (void)data;
  mapping *memory = hint;
  munmap(memory->mapped, memory->mapped_bytes);
  free(memory);
}

/* allocatePages(bytes) -> ArrayBuffer, zeroed, aligned to 2 MiB */
static napi_value allocate_pages(napi_env env, napi_callback_info info) {
  napi_value argument;
  napi_value buffer;
  uint64_t bytes = 0;
  if (!hf_arguments(env, info, 1, &argument) || !hf_get_size(env, argument, "bytes", MEMORY_BYTES_MAX, &bytes)) return NULL;
  mapping *memory = calloc(1, sizeof *memory);
  if (memory == NULL) {
    napi_throw_error(env, "ERR_MEMORY", "no memory for a pool of buffers");
    return NULL;
  }
  memory->mapped_bytes = (size_t)(bytes + HUGE_PAGE_BYTES);
  memory->mapped = mmap(NULL, memory->mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory->mapped == MAP_FAILED) {
    free(memory);
    napi_throw_error(env, "ERR_MEMORY", "no memory for a pool of buffers");
    return NULL;
  }
  uintptr_t aligned = ((uintptr_t)memory->mapped + HUGE_PAGE_BYTES - 1) & ~(uintptr_t)(HUGE_PAGE_BYTES - 1);
#if defined(MADV_HUGEPAGE)
  madvise((void *)aligned, (size_t)bytes, MADV_HUGEPAGE);
#endif
  if (napi_create_external_arraybuffer(env, (void *)aligned, (size_t)bytes, unmap, memory, &buffer) == napi_ok) return buffer;
  hf_throw_last(env);
  unmap(env, NULL, memory);
  return NULL;
}

int hf_define_memory(napi_env env, napi_value exports) {
  static const hf_function functions[] = {{"allocatePages", allocate_pages}};
  return hf_define(env, exports, functions, 1);
}
