/**
 * Runs Node with the addon that `node native/build.js --sanitize` made; the runtimes of the sanitizers have to be there before Node itself.
 * Leaks are not looked for: Node leaves much behind at its end.
 *
 *   node native/tools/sanitized.js test/native/random.ts gf256 10000
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCompiler } from '../build.js';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where the compiler has a library. */
function library(name) {
  const [command = 'cc', ...args] = (findCompiler() ?? 'cc').split(' ');
  const { stdout } = spawnSync(command, [...args, `-print-file-name=${name}`], { encoding: 'utf8' });
  const path = (stdout ?? '').trim();
  if (path.includes('/')) return path;
  process.stderr.write(`${command} has no ${name}\n`);
  process.exit(2);
}

const { status, signal } = spawnSync(process.execPath, process.argv.slice(2), {
  stdio: 'inherit',
  env: {
    ...process.env,
    LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1:allocator_may_return_null=1',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
    HOLDFAST_PREBUILD: join(root, 'build', 'Sanitized'),
    HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE ?? 'auto',
  },
});
if (signal) process.stderr.write(`ended by ${signal}\n`);
process.exitCode = status ?? 1;
