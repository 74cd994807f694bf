/** Ways to get a node for a test, on the real and on the simulated disk, and to damage what it stored. */
import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { realDisk } from '../../src/node/realdisk.ts';
import { type NodeOptions, NodeStore } from '../../src/node/store.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import type { SimulatedDisk } from '../simulation/disk.ts';
import type { Prng } from '../simulation/prng.ts';

export const SIMULATED_DIRECTORY = '/node';

export function simulatedOptions(disk: SimulatedDisk, random: Prng): NodeOptions {
  return {
    disk,
    directory: SIMULATED_DIRECTORY,
    clock: new SimulatedClock(),
    random,
    initialise: true,
    segmentBytesMax: 64 * 1024,
  };
}

export async function temporaryDirectory(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-node-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export function realOptions(directory: string): NodeOptions {
  return { disk: realDisk, directory, clock: systemClock, random: systemRandom, initialise: true };
}

export async function openReal(directory: string, more: Partial<NodeOptions> = {}): Promise<NodeStore> {
  return NodeStore.open({ ...realOptions(directory), ...more });
}

/** Flips a bit at `offsetBytes` of wherever `needle` lies last in the directory's segments. */
export async function flipReal(directory: string, needle: Buffer, offsetBytes: number): Promise<void> {
  for (const name of (await readdir(directory)).sort().reverse()) {
    if (!name.endsWith('.seg')) continue;
    const path = join(directory, name);
    const at = (await readFile(path)).lastIndexOf(needle);
    if (at < 0) continue;
    const file = await open(path, 'r+');
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at + offsetBytes);
    byte[0] = byte[0]! ^ 4;
    await file.write(byte, 0, 1, at + offsetBytes);
    await file.close();
    return;
  }
  throw new Error('not found in any segment');
}

export async function flipSimulated(disk: SimulatedDisk, needle: Buffer, offsetBytes: number): Promise<void> {
  for (const name of (await disk.list(SIMULATED_DIRECTORY)).sort().reverse()) {
    if (!name.endsWith('.seg')) continue;
    const path = `${SIMULATED_DIRECTORY}/${name}`;
    const at = (await disk.readFile(path)).lastIndexOf(needle);
    if (at < 0) continue;
    disk.flipBit(path, at + offsetBytes, 2);
    return;
  }
  throw new Error('not found in any segment');
}
