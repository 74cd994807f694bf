#include "blake3.h"

void hf_blake3_select(hf_level level) {
  (void)level;
}
