import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('docs/errors.md says what the table of errors says (npm run docs writes it)', () => {
  const made = execFileSync(process.execPath, ['scripts/errordocs.js', '--print'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(readFileSync(`${root}/docs/errors.md`, 'utf8')).toBe(made);
});
