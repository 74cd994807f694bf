/** What a job works on stays until it has ended, though nobody else holds it and the collector runs all the time. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { native } from '../../src/base/native.ts';

const { addon, reason } = native();
const ROUNDS = 15;

test.skipIf(!addon)(`collecting garbage while native jobs run${addon ? '' : ` (skipped: ${reason})`}`, () => {
  const script = fileURLToPath(new URL('hoarder.ts', import.meta.url));
  const args = ['--expose-gc', script, 'gc', String(ROUNDS)];
  expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe(String(ROUNDS));
});
