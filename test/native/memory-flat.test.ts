/** Native jobs of every kind, again and again, keep nothing. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { native } from '../../src/base/native.ts';

const { addon, reason } = native();
const ROUNDS = 60;
/** A round touches some 20 MB: what leaked even one in a hundred jobs would show. */
const GROWTH_BYTES_MAX = 48 * 2 ** 20;

test.skipIf(!addon)(`memory stays flat over native jobs${addon ? '' : ` (skipped: ${reason})`}`, () => {
  const script = fileURLToPath(new URL('hoarder.ts', import.meta.url));
  const args = ['--expose-gc', script, 'flat', String(ROUNDS)];
  expect(Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))).toBeLessThan(GROWTH_BYTES_MAX);
});
