/** `kill -9` of a process that writes to a real disk, several times over the same directory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MIB } from '../../src/base/units.ts';
import { NodeStore } from '../../src/node/store.ts';
import { fragmentOf } from './killround.ts';
import { realOptions, temporaryDirectory } from './nodes.ts';

const ROUNDS = Number(process.env['HOLDFAST_KILL_ROUNDS'] ?? 4);
const SEEDS_PER_ROUND = 1_000_000;

type Fate = 'announced' | 'stored' | 'leaving' | 'deleted';

async function writeUntilKilled(directory: string, firstSeed: number, lifeMs: number): Promise<string> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'killchild.ts'), directory, `${firstSeed}`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const closed = once(child, 'close');
  let output = '';
  let timer: NodeJS.Timeout | undefined;
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    timer ??= setTimeout(() => child.kill('SIGKILL'), lifeMs);
    output += text;
  });
  const [, signal] = await closed;
  clearTimeout(timer);
  expect(signal).toBe('SIGKILL');
  return output;
}

function follow(output: string, fates: Map<number, Fate>): void {
  const meaning: Record<string, Fate> = { '>': 'announced', '+': 'stored', '<': 'leaving', '-': 'deleted' };
  for (const line of output.split('\n').slice(0, -1)) fates.set(Number(line.slice(2)), meaning[line[0]!]!);
}

describe('kill -9', () => {
  it('of a writing, deleting and compacting process loses nothing acknowledged', async () => {
    const directory = await temporaryDirectory();
    const fates = new Map<number, Fate>();
    for (let round = 0; round < ROUNDS; round++) {
      const lifeMs = 150 + 100 * round;
      follow(await writeUntilKilled(directory.path, round * SEEDS_PER_ROUND, lifeMs), fates);
      const node = await NodeStore.open({ ...realOptions(directory.path), segmentBytesMax: 2 * MIB });
      expect(node.replayReport.damagedRecords).toBe(0);
      for (const [seed, fate] of fates) {
        const { name, stored } = fragmentOf(seed);
        const found = await node.length(name);
        if (fate === 'stored') expect(found, `seed ${seed}`).toBe(stored.length);
        if (fate === 'deleted') expect(found, `seed ${seed}`).toBeUndefined();
        if (found === undefined) {
          fates.set(seed, 'deleted');
          continue;
        }
        const target = Buffer.alloc(stored.length);
        await node.read(name, 0, target);
        expect(target.equals(stored), `seed ${seed}`).toBe(true);
        fates.set(seed, 'stored');
      }
      await node.close();
    }
    const stored = [...fates.values()].filter((fate) => fate === 'stored').length;
    expect(stored).toBeGreaterThan(50);
    expect(fates.size - stored).toBeGreaterThan(50);
    await directory.remove();
  });
});
