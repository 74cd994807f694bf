/** No thread can be had: jobs are refused without a trace, and a node goes on by way of libuv's threads. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { native } from '../../src/base/native.ts';

const { addon, reason } = native();
const child = fileURLToPath(new URL('childwithoutthreads.ts', import.meta.url));

function whyNot(): string {
  if (!addon) return ` (skipped: ${reason})`;
  try {
    execFileSync('prlimit', ['--version'], { stdio: 'pipe' });
    return '';
  } catch {
    return ' (skipped: there is no prlimit)';
  }
}

const skipped = whyNot();

describe.skipIf(skipped !== '')(`a process that can start no threads${skipped}`, () => {
  test('leaves no descriptor behind, and still appends', () => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-nothreads-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const printed = execFileSync(process.execPath, [child, directory], { encoding: 'utf8' });
    expect(JSON.parse(printed)).toEqual({
      send: 'ERR_CLOSED',
      left: 0,
      there: 'not begun',
      durable: true,
      content: 'kept',
    });
  });
});
