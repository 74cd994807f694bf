#if defined(__APPLE__)
#define __STDC_WANT_LIB_EXT1__ 1 /* memset_s */
#endif

#include "wipe.h"

#include <string.h>

void hf_wipe(void *bytes, size_t length) {
#if defined(__APPLE__)
  memset_s(bytes, length, 0, length);
#else
  explicit_bzero(bytes, length);
#endif
}
