/**
 * Starts the contenders in one temporary directory, on one disk, and takes care that neither a process nor a file is left: at the end,
 * on failure, on Ctrl-C.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killTree } from '../endtoend/processes.ts';
import type { Contender, Peer } from './contender.ts';

/** Files of servers that are being killed may still appear while they are deleted. */
const DELETE_RETRIES = 10;

export async function withContenders(
  peers: readonly Peer[],
  use: (contenders: readonly Contender[]) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const contenders: Contender[] = [];
  const remove = () =>
    rmSync(directory, { recursive: true, force: true, maxRetries: DELETE_RETRIES, retryDelay: 100 });
  const interrupt = () => {
    killTree(process.pid);
    remove();
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  try {
    for (const [index, peer] of peers.entries()) {
      const own = join(directory, String(index));
      mkdirSync(own);
      contenders.push(await peer.start(own));
    }
    await use(contenders);
  } finally {
    await Promise.allSettled(contenders.map((contender) => contender.stop()));
    killTree(process.pid);
    remove();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
  }
}
