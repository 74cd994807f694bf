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
const INTERRUPTED_EXIT_CODE = 130;
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export async function withContenders(
  peers: readonly Peer[],
  use: (contenders: readonly Contender[]) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const contenders: Contender[] = [];
  const clean = () => {
    killTree(process.pid);
    rmSync(directory, { recursive: true, force: true, maxRetries: DELETE_RETRIES, retryDelay: 100 });
  };
  const interrupt = () => process.exit(INTERRUPTED_EXIT_CODE);
  // Also after an error that nothing catches.
  process.on('exit', clean);
  for (const signal of signals) process.on(signal, interrupt);
  try {
    for (const [index, peer] of peers.entries()) {
      const own = join(directory, String(index));
      mkdirSync(own);
      contenders.push(await peer.start(own));
    }
    await use(contenders);
  } finally {
    await Promise.allSettled(contenders.map((contender) => contender.stop()));
    clean();
    process.off('exit', clean);
    for (const signal of signals) process.off(signal, interrupt);
  }
}
