/** Starts a node daemon as its own process, on a free port and a directory of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { serverNodeFlags } from '../../src/cli/nodeflags.ts';
import { repository, waitUntil } from './server.ts';

const START_TIMEOUT_MS = 30_000;

export interface RunningDaemon {
  readonly data: string;
  readonly port: number;
  readonly tlsPort: number;
  /** As it prints it for people. */
  readonly fingerprint: string;
  /** That it printed; undefined when it printed none. */
  joinToken(): string | undefined;
  readonly process: ChildProcess;
  output(): string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** `port`: 0 for any that is free. */
export async function startDaemonProcess(
  data: string,
  port: number | { readonly plain: number; readonly tls: number } = 0,
  flags: readonly string[] = [],
): Promise<RunningDaemon> {
  const { plain, tls } = typeof port === 'number' ? { plain: port, tls: 0 } : port;
  const args = [
    'node',
    '--data',
    data,
    '--listen',
    `127.0.0.1:${plain}`,
    '--tls-listen',
    `127.0.0.1:${tls}`,
    '--log-level',
    'warn',
    ...flags,
  ];
  const child = spawn(process.execPath, [...serverNodeFlags, join(repository, 'src/cli/main.ts'), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.on('data', (piece: Buffer) => {
    output = (output + piece.toString()).slice(-100_000);
  });
  const ended = once(child, 'exit');
  const listening = /listens on [^ ]+:(\d+) and [^ ]+:(\d+) \(TLS\)\n.*its identity is (\S+)\n/;
  await waitUntil(
    () => listening.test(output) || child.exitCode !== null,
    START_TIMEOUT_MS,
    () => output,
  );
  if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}:\n${output}`);
  return {
    data,
    port: Number(listening.exec(output)![1]),
    tlsPort: Number(listening.exec(output)![2]),
    fingerprint: listening.exec(output)![3]!,
    joinToken: () => /join token[^:]*: (\S+)\n/.exec(output)?.[1],
    process: child,
    output: () => output,
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await ended;
    },
  };
}
