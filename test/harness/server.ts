/**
 * Starts the real server as its own process, the way `npm start` does, on free ports and a temporary data directory.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serverNodeFlags } from '../../src/cli/nodeflags.ts';

export const repository = fileURLToPath(new URL('../..', import.meta.url));
const main = join(repository, 'src/cli/main.ts');
const START_TIMEOUT_MS = 60_000;
const OUTPUT_CHARACTERS_MAX = 200_000;

export interface ServerOptions {
  readonly data?: string;
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Another checkout whose server is started, by its own Node. */
  readonly checkout?: string;
  /** Arguments of node itself instead of those that `holdfast serve` gives it. */
  readonly nodeFlags?: readonly string[];
}

export interface RunningServer {
  readonly endpoint: string;
  readonly port: number;
  readonly statusPage: string;
  readonly data: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly process: ChildProcess;
  /** Everything the server wrote so far. */
  output(): string;
  /** Signals and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'holdfast-test-'));
}

export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const data = options.data ?? join(temporaryDirectory(), 'data');
  const flags = ['--data', data, '--s3', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...(options.flags ?? [])];
  const { checkout } = options;
  const child = spawn(
    checkout === undefined ? process.execPath : join(checkout, 'node_modules/.bin/node'),
    [
      ...(options.nodeFlags ?? serverNodeFlags),
      checkout === undefined ? main : join(checkout, 'src/cli/main.ts'),
      ...['serve', ...flags],
    ],
    {
      env: { ...process.env, ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  const collect = (piece: Buffer) => {
    output = (output + piece.toString()).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const ended = once(child, 'exit');
  await waitUntil(
    () => /Stop it with Ctrl-C/.test(output) || child.exitCode !== null,
    START_TIMEOUT_MS,
    () => output,
  );
  if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${output}`);
  const endpoint = /S3 endpoint +(\S+)/.exec(output)?.[1] ?? '';
  const statusPage = /Status page +(\S+)/.exec(output)?.[1] ?? '';
  const { accessKeyId, secretAccessKey } = readKeys(data, options.environment ?? {});
  return {
    endpoint,
    port: Number(new URL(endpoint).port),
    statusPage,
    data,
    accessKeyId,
    secretAccessKey,
    process: child,
    output: () => output,
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await ended;
      return child.exitCode;
    },
  };
}

function readKeys(data: string, environment: Readonly<Record<string, string>>) {
  const accessKeyId = environment['HOLDFAST_ACCESS_KEY'] ?? environment['MINIO_ROOT_USER'];
  const secretAccessKey = environment['HOLDFAST_SECRET_KEY'] ?? environment['MINIO_ROOT_PASSWORD'];
  if (accessKeyId !== undefined && secretAccessKey !== undefined) return { accessKeyId, secretAccessKey };
  return JSON.parse(readFileSync(join(data, 'credentials.json'), 'utf8')) as {
    accessKeyId: string;
    secretAccessKey: string;
  };
}

/** Polls until `condition` holds. Throws with `context` after `timeoutMs`. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  context: () => string = () => '',
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not reached within ${timeoutMs} ms\n${context()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Runs the CLI; resolves with what it printed and its exit code. */
export function holdfast(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  return runCommand(process.execPath, [main, ...args], { environment });
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runCommand(
  command: string,
  args: readonly string[],
  options: {
    readonly environment?: Readonly<Record<string, string>>;
    readonly directory?: string;
    readonly timeoutMs?: number;
    readonly input?: string;
  } = {},
): Promise<CommandResult> {
  const child = spawn(command, args, {
    env: { ...process.env, ...options.environment },
    cwd: options.directory,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 300_000,
    killSignal: 'SIGKILL',
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
  child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  return { code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
}

/** Removes the folders of some embedded nodes under the running server, as `rm -rf` by hand would. */
export async function loseNodes(server: RunningServer, folders: readonly string[]): Promise<void> {
  await Promise.all(
    folders.map((folder) => rm(join(server.data, 'nodes', folder), { recursive: true, force: true })),
  );
}
