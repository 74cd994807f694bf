/**
 * Runs a plan in a load generator of its own process: the one in C, compiled at its first use, or the one in JavaScript where there is
 * no compiler or HOLDFAST_BENCH_CLIENT is `js`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type LoadResult, type Plan, requestBody, requestHeads } from './plan.ts';

const inJavaScript = fileURLToPath(new URL('./generator.ts', import.meta.url));
const source = fileURLToPath(new URL('./generator.c', import.meta.url));
const buildDirectory = fileURLToPath(new URL('../../build/bench/', import.meta.url));

/** Compiles generator.c unless that was done since it last changed. Undefined where that cannot be done. */
function compiled(): string | undefined {
  const made = `${buildDirectory}generator`;
  if (existsSync(made) && statSync(made).mtimeMs >= statSync(source).mtimeMs) return made;
  mkdirSync(buildDirectory, { recursive: true });
  const unfinished = `${made}.tmp-${process.pid}`;
  const [compiler = 'cc', ...words] = (process.env['CC'] ?? 'cc').split(' ').filter(Boolean);
  const args = [...words, '-std=c11', '-O2', '-pthread', source, '-o', unfinished];
  const result = spawnSync(compiler, args, { encoding: 'utf8' });
  if (result.status !== 0) {
    process.stderr.write(
      `the load generator in C was not built: ${result.error?.message ?? result.stderr}\n`,
    );
    return undefined;
  }
  renameSync(unfinished, made);
  return made;
}

export type Client = 'C' | 'JavaScript';

let binary: { readonly path: string | undefined } | undefined;

function binaryPath(): string | undefined {
  binary ??= { path: compiled() };
  return binary.path;
}

export function preferredClient(): Client {
  if (process.env['HOLDFAST_BENCH_CLIENT'] === 'js') return 'JavaScript';
  return binaryPath() === undefined ? 'JavaScript' : 'C';
}

/** @throws when the generator itself fails; requests that fail are counted in the result */
export async function runLoad(plan: Plan, client = preferredClient()): Promise<LoadResult> {
  const path = client === 'C' ? binaryPath() : undefined;
  return path === undefined
    ? converse(process.execPath, [inJavaScript], [JSON.stringify(plan)])
    : converse(path, [], inFormatOfC(plan));
}

/** The format at the top of generator.c. */
function inFormatOfC(plan: Plan): (string | Buffer)[] {
  const body = requestBody(plan);
  const heads = requestHeads(plan, body.length);
  const { host, port } = plan.target;
  const numbers = [
    plan.connections,
    body.length,
    plan.requestsMax,
    Math.round(plan.durationMs),
    heads.length,
  ];
  const described = heads.map((head) => Buffer.concat([Buffer.from(`${head.length}\n`), head]));
  return [`${host} ${port} ${numbers.join(' ')}\n`, ...described, body];
}

async function converse(
  command: string,
  args: readonly string[],
  input: readonly (string | Buffer)[],
): Promise<LoadResult> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
  // A generator that ends early is reported by its exit code.
  child.stdin.on('error', () => undefined);
  for (const piece of input) child.stdin.write(piece);
  child.stdin.end();
  const pieces: Buffer[] = [];
  for await (const piece of child.stdout) pieces.push(piece as Buffer);
  const code = await ended;
  if (code !== 0) throw new Error(`the load generator ended with ${code}`);
  return JSON.parse(Buffer.concat(pieces).toString()) as LoadResult;
}
