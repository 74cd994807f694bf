/** A process that ends while native threads work ends at once, with its own exit code and without a signal. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { native } from '../../src/base/native.ts';

const { addon, reason } = native();
const child = fileURLToPath(new URL('busychild.ts', import.meta.url));

function run(way: string, delayMs: number) {
  const { status, signal, stderr } = spawnSync(process.execPath, [child, way, String(delayMs)], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { status, signal, stderr };
}

describe.skipIf(!addon)(`with native jobs under way${addon ? '' : ` (skipped: ${reason})`}`, () => {
  test.each([0, 1, 3, 10, 30])('process.exit after %i ms', (delayMs) => {
    expect(run('exit', delayMs)).toEqual({ status: 7, signal: null, stderr: '' });
  });

  test('an uncaught exception', () => {
    const { status, signal, stderr } = run('throw', 2);
    expect({ status, signal }).toEqual({ status: 1, signal: null });
    expect(stderr).toContain('on purpose');
  });

  test('a process with nothing else to do ends when the jobs have', () => {
    expect(run('wait', 0)).toEqual({ status: 0, signal: null, stderr: '' });
  });
});
