#include "gf256.h"

void hf_gf256_select(hf_level level) {
  (void)level;
}
