/** The kernels against ISA-L, where it and a compiler are installed: native/tools/isal_bench.c, its comparing part. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const compiler = process.env['CC'] ?? 'cc';

/** Why there is nothing to compare with, or undefined. */
function missing(): string | undefined {
  const [command = 'cc', ...args] = compiler.split(' ');
  if (spawnSync(command, ['--version'], { stdio: 'ignore' }).status !== 0) return `no compiler (${compiler})`;
  const program = '#include <isa-l.h>\nint main(void) { return gf_inv(1) != 1; }\n';
  const probe = [...args, '-x', 'c', '-', '-o', '/dev/null', '-lisal'];
  return spawnSync(command, probe, { input: program }).status === 0 ? undefined : 'libisal is not installed';
}

const reason = missing();

test.skipIf(reason)(
  `parities and rebuilt shards are those of ISA-L${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-isal-'));
    try {
      const program = join(directory, 'isal_bench');
      const builder = new URL('../../native/tools/build.js', import.meta.url).pathname;
      execFileSync(process.execPath, [builder, 'isal_bench', program, 'isal'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      expect(execFileSync(program, ['check'], { encoding: 'utf8' })).toBe('ok\n');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);
