#include "md5.h"

void hf_md5_select(hf_level level) {
  (void)level;
}
