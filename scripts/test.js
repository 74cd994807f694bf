/**
 * `npm test`: type check, lint, tests; each runs whatever the one before it found. Vitest prints what it skipped; tests say why in their
 * names. Arguments go to vitest: `npm test -- test/node`.
 */
import { spawnSync } from 'node:child_process';

const steps = [
  ['types', 'tsc', ['--noEmit']],
  ['lint', 'biome', ['check', '--error-on-warnings', '.']],
  ['tests', 'vitest', ['run', ...process.argv.slice(2)]],
];

const failed = [];
for (const [name, command, args] of steps) {
  const result = spawnSync(command, args, { stdio: 'inherit', shell: process.platform === 'win32' });
  if (result.status !== 0) failed.push(name);
}
if (failed.length > 0) {
  process.stderr.write(`failed: ${failed.join(', ')}\n`);
  process.exit(1);
}
