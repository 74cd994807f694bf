/**
 * Which seeds run. The files system-*.test.ts share them, so that they run side by side. HOLDFAST_TEST_SEED replays one,
 * HOLDFAST_TEST_SEEDS sets how many there are in all, HOLDFAST_TEST_TRACE=1 prints what happens as it happens.
 */
import { test } from 'vitest';
import { runSeed } from './world.ts';

/** In all files together. */
const SEEDS_DEFAULT = 520;
const TIMEOUT_MS = 60_000;

/** Seeds beyond the usual ones that found something once, with what it was. */
export const regressions: readonly { readonly seed: number; readonly found: string }[] = [
  { seed: 286, found: 'segments made by a killed process lost their names when the power went' },
  { seed: 528, found: 'the same, in a first segment' },
];

export function testSeeds(part: number, partCount: number): void {
  const replayed = process.env['HOLDFAST_TEST_SEED'];
  if (replayed !== undefined) {
    if (part > 0) test.skip('another file replays the seed', () => undefined);
    else test(`seed ${replayed}`, () => runSeed(Number(replayed)).then(() => undefined), TIMEOUT_MS);
    return;
  }
  const count = Number(process.env['HOLDFAST_TEST_SEEDS'] ?? SEEDS_DEFAULT);
  for (let seed = part + 1; seed <= count; seed += partCount) {
    test(`seed ${seed}`, () => runSeed(seed).then(() => undefined), TIMEOUT_MS);
  }
  for (const { seed, found } of part === 0 ? regressions : []) {
    test(`seed ${seed}: ${found}`, () => runSeed(seed).then(() => undefined), TIMEOUT_MS);
  }
}
