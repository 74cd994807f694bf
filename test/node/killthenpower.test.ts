/**
 * A process that is killed leaves names and bytes behind that only the page cache knows. The next one sees them like any others, and
 * what it acknowledges must not stand on them: the power may go later.
 */
import { expect, it } from 'vitest';
import { NodeStore } from '../../src/node/store.ts';
import { SimulatedDisk } from '../simulation/disk.ts';
import { Prng } from '../simulation/prng.ts';
import { makeFragment } from './fragments.ts';
import { simulatedOptions } from './nodes.ts';

const OPERATIONS_MAX = 60;
const SEEDS_PER_OPERATION = 4;

it('what is acknowledged after a kill at any operation survives a power cut', async () => {
  for (let operation = 1; operation <= OPERATIONS_MAX; operation++) {
    for (let seed = 1; seed <= SEEDS_PER_OPERATION; seed++) await killThenCut(operation, seed);
  }
});

async function killThenCut(operation: number, seed: number): Promise<void> {
  const prng = new Prng(operation * 1000 + seed);
  let disk = new SimulatedDisk(seed);
  const open = () => NodeStore.open(simulatedOptions(disk, prng.fork()));
  const [first, second] = [prng.bytes(32), prng.bytes(32)];
  disk.cutAfter(operation);
  const store = async () => (await open()).put(first, makeFragment(prng, 500).pieces);
  await store().catch(() => undefined);
  disk = disk.kill();
  const { pieces, stored } = makeFragment(prng, 700);
  const node = await open();
  await node.put(second, pieces);
  disk = disk.powerCut();
  const found = Buffer.alloc(stored.length);
  const cut = await open();
  await cut.read(second, 0, found);
  expect(found.equals(stored), `killed at operation ${operation}, seed ${seed}`).toBe(true);
}
