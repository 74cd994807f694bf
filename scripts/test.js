/**
 * `npm test`: type check, lint, tests; each runs whatever the one before it found. `npm run test:clients` and `npm run test:grid` call it with
 * `clients` and `grid`. What was
 * skipped is listed at the end with its reason, which is part of the test's name. Other arguments go to vitest: `npm test -- test/node`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const args = process.argv.slice(2);
const suite = ['clients', 'grid'].find((name) => name === args[0]);
const report =
  process.env.HOLDFAST_TEST_REPORT ?? join(mkdtempSync(join(tmpdir(), 'holdfast-')), 'report.json');
const vitest = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];

const steps = suite
  ? [[`${suite} tests`, 'vitest', [...vitest, '--config', `vitest.${suite}.config.ts`, ...args.slice(1)]]]
  : [
      ['types', 'tsc', ['--noEmit']],
      ['lint', 'biome', ['check', '--error-on-warnings', '.']],
      ['tests', 'vitest', [...vitest, ...args]],
    ];

const failed = [];
for (const [name, command, commandArgs] of steps) {
  const result = spawnSync(command, commandArgs, { stdio: 'inherit', shell: process.platform === 'win32' });
  if (result.status !== 0) failed.push(name);
}

function skippedTests() {
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
    const all = testResults.flatMap((file) => file.assertionResults);
    return all
      .filter((test) => test.status === 'pending' || test.status === 'skipped')
      .map((test) => test.fullName);
  } catch {
    return [];
  }
}

const skipped = skippedTests();
process.stdout.write(
  skipped.length === 0
    ? 'Nothing was skipped.\n'
    : `Skipped:\n${skipped.map((name) => `  ${name}\n`).join('')}`,
);
if (failed.length > 0) {
  process.stderr.write(`failed: ${failed.join(', ')}\n`);
  process.exit(1);
}
