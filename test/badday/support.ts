/** What the bad-day tests share: a start that must fail, mounts that only root may make, and patterned bodies. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ScrubResult, StatusReport } from '../../src/admin/report.ts';
import {
  type CommandResult,
  holdfast,
  type RunningServer,
  repository,
  temporaryDirectory,
} from '../harness/server.ts';

export const main = join(repository, 'src/cli/main.ts');
export const free = ['--s3', '127.0.0.1:0', '--admin', '127.0.0.1:0'] as const;

/** Runs `holdfast serve` where it must not come up. A later flag wins over an earlier one. */
export function failedStart(
  data: string,
  flags: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return holdfast(['serve', '--data', data, ...free, '--log-level', 'warn', ...flags], environment);
}

/** The lines that a person sees; a failed start has exactly one. */
export function linesOf(result: CommandResult): string[] {
  return `${result.stdout}${result.stderr}`.split('\n').filter((line) => line !== '');
}

/** Whether this process may mount; tests that need it say so in their name and are skipped elsewhere. */
export const canMount = tryMount();

function tryMount(): boolean {
  const folder = temporaryDirectory();
  try {
    mountTmpfs(folder, '64k');
    unmount(folder);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function mountTmpfs(folder: string, size: string): void {
  mkdirSync(folder, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', folder], { stdio: 'pipe' });
}

/** `options` of mount(8), for example `bind,ro`. */
export function remount(folder: string, options: string): void {
  execFileSync('mount', ['-o', options, folder, folder], { stdio: 'pipe' });
}

/** Lazily: a process that still has files open there must not leave the mount behind. */
export function unmount(folder: string): void {
  execFileSync('umount', ['-l', folder], { stdio: 'pipe' });
}

/** Bytes that differ from object to object and from place to place, without a random source. */
export function body(lengthBytes: number, seed: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  let state = (seed * 0x9e3779b1) >>> 0 || 1;
  for (let at = 0; at + 4 <= lengthBytes; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeUInt32LE(state >>> 0, at);
  }
  return bytes;
}

export async function statusOf(server: Pick<RunningServer, 'data'>): Promise<StatusReport> {
  return asJson<StatusReport>(await holdfast(['status', '--data', server.data, '--json']));
}

export async function scrubOf(server: Pick<RunningServer, 'data'>): Promise<ScrubResult> {
  return asJson<ScrubResult>(await holdfast(['scrub', '--data', server.data, '--json']));
}

function asJson<T>(result: CommandResult): T {
  if (result.stdout === '') throw new Error(`exit code ${result.code}: ${result.stderr}`);
  return JSON.parse(result.stdout) as T;
}

export function removeData(data: string): void {
  rmSync(dirname(data), { recursive: true, force: true });
}
