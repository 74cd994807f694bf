/* MD5 with four streams in the lanes of an SSE vector. */
#include "md5_kernels.h"

#define HF_NAME hf_md5_ssse3_4
#include "md5_sse.h"
