/**
 * A process that writes to a node until it is killed. Each acknowledged change is one line on stdout, written after the
 * answer: `+ seed` for a put, `- seed` for a delete; before it, `> seed` and `< seed` announce them. Contents follow
 * from their seeds.
 */
import { writeSync } from 'node:fs';
import { KIB, MIB } from '../../src/base/units.ts';
import { NodeStore } from '../../src/node/store.ts';
import { Prng } from '../simulation/prng.ts';
import { fragmentOf } from './killround.ts';
import { realOptions } from './nodes.ts';

const [directory, firstSeed] = process.argv.slice(2);
// Low enough that commits of whole blocks, and such that are not, follow each other.
const alignedBytesMin = 64 * KIB;
const node = await NodeStore.open({ ...realOptions(directory!), segmentBytesMax: 2 * MIB, alignedBytesMin });
const say = (line: string) => writeSync(1, `${line}\n`);
const prng = new Prng(Number(firstSeed));
const mine: number[] = [];
let seed = Number(firstSeed);

async function work(): Promise<never> {
  for (;;) {
    const number = seed++;
    const { name, pieces } = fragmentOf(number);
    say(`> ${number}`);
    await node.put(name, pieces);
    say(`+ ${number}`);
    mine.push(number);
    if (!prng.chance(0.6)) continue;
    const victim = mine.splice(prng.below(mine.length), 1)[0]!;
    say(`< ${victim}`);
    await node.delete([fragmentOf(victim).name]);
    say(`- ${victim}`);
  }
}

async function compact(): Promise<never> {
  for (;;) {
    await node.compactStep(MIB);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

await Promise.all([...Array.from({ length: 8 }, work), compact()]);
