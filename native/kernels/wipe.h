/* Zeros over keys that are not needed any more, which no compiler may leave out. */
#ifndef HF_WIPE_H
#define HF_WIPE_H

#include <stddef.h>

void hf_wipe(void *bytes, size_t length);

#endif
