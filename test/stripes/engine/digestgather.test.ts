import { describe, expect, test } from 'vitest';
import { DigestGather } from '../../../src/stripes/engine/digestgather.ts';

/** Which of the turns have come once all that is ready has run. */
async function come(turns: readonly Promise<void>[]): Promise<boolean[]> {
  const flags = turns.map(() => false);
  for (const [i, turn] of turns.entries()) void turn.then(() => (flags[i] = true));
  await new Promise((resolve) => setImmediate(resolve));
  return flags;
}

describe('large pieces of several bodies', () => {
  test('of one body alone never wait', async () => {
    const gather = new DigestGather();
    gather.begin();
    expect(await come([gather.turn(), gather.turn()])).toEqual([true, true]);
  });

  test('wait until each of up to four bodies has one', async () => {
    const gather = new DigestGather();
    for (let body = 0; body < 6; body++) gather.begin();
    const turns = [gather.turn(), gather.turn(), gather.turn()];
    expect(await come(turns)).toEqual([false, false, false]);
    turns.push(gather.turn());
    expect(await come(turns)).toEqual([true, true, true, true]);
  });

  test('go when the body that was waited for has ended', async () => {
    const gather = new DigestGather();
    const end = gather.begin();
    gather.begin();
    const turn = gather.turn();
    expect(await come([turn])).toEqual([false]);
    end();
    expect(await come([turn])).toEqual([true]);
  });

  test('go alone after a while', async () => {
    const gather = new DigestGather();
    gather.begin();
    gather.begin();
    await gather.turn();
  });

  test('are those of whole stripes', () => {
    expect(DigestGather.isLarge(new Uint8Array(4 * 1024 * 1024))).toBe(true);
    expect(DigestGather.isLarge(new Uint8Array(1024 * 1024))).toBe(false);
  });
});
