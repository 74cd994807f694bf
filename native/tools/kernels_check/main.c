/*
 * Runs every kernel at every level that the processor has against the portable one, and what is built on them, without JavaScript:
 * under sanitizers, and on processors that are only emulated (test/native/sanitizers.test.ts).
 *
 *   kernels_check        prints "N checks agree" and ends with 0, or what does not and ends with 1
 *
 * Compiled by native/tools/build.js.
 */
#include <stdio.h>

#include "../../kernels/cpu.h"
#include "trial.h"

int main(void) {
  const check *const all[] = {gf256_checks,  blake3_checks, crc_checks,     md5_checks,
                              engine_checks, files_checks,  receiver_checks};
  unsigned long sum = 0;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    for (const check *each = all[i]; each->name != NULL; each++) {
      unsigned long agree = check_run(each);
      if (agree == 0) return 1;
      sum += agree;
    }
  }
  printf("%lu checks agree, up to level %s\n", sum, hf_level_name(hf_level_best()));
  return 0;
}
