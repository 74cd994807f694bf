#!/usr/bin/env node
/**
 * The `holdfast` command. A server gets a process of its own with V8's limits for it, since they cannot be set once a process runs;
 * signals are passed on, its exit code is ours, and it ends when this process is killed.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { serverNodeFlags } from '../src/cli/nodeflags.ts';

if (process.argv[2] !== 'serve' && process.argv[2] !== 'node') {
  await import('../src/cli/main.ts');
} else {
  const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
  const server = spawn(process.execPath, [...serverNodeFlags, main, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => server.kill(signal));
  server.on('error', (error) => {
    process.stderr.write(`holdfast: ${error.message}\n`);
    process.exit(1);
  });
  server.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGKILL' ? 137 : 1)));
}
