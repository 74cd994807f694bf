/** Reed–Solomon beside ISA-L and beside what memory itself allows, in C (native/tools/isal_bench.c), where libisal is installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export async function benchIsal(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-isal-'));
  try {
    const program = join(directory, 'isal_bench');
    const builder = fileURLToPath(new URL('../../native/tools/build.js', import.meta.url));
    const built = spawnSync(process.execPath, [builder, 'isal_bench', program, 'isal'], { stdio: 'ignore' });
    if (built.status !== 0) {
      process.stdout.write('ISA-L: not measured, no compiler or no libisal (Debian: libisal-dev)\n');
      return;
    }
    process.stdout.write(execFileSync(program, ['measure'], { encoding: 'utf8' }));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await benchIsal();
