/** Registers of tokens: what is let in, what is refused, and in which order things come to be durable. */
import { describe, expect, test } from 'vitest';
import { Registers, type Writer } from '../../src/node/registers.ts';
import type { SystemRecords } from '../../src/node/systemrecords.ts';

const writer = (term: number, start = 1): Writer => ({ logId: 1, term, start });

/** Records that are written when the test says so. */
function records() {
  const written: Writer[] = [];
  const waiting: (() => void)[] = [];
  const system = {
    write: async (_: string, value: Writer) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      written.push(value);
    },
  } as unknown as SystemRecords;
  const flush = async () => {
    for (let round = 0; round < 5; round++) {
      await new Promise((resolve) => setImmediate(resolve));
      for (const resolve of waiting.splice(0)) resolve();
    }
  };
  return { registers: new Registers(system, 0, []), written, flush };
}

describe('registers', () => {
  test('let nobody in before the token is durable, the second one neither', async () => {
    const { registers, written, flush } = records();
    let entered = 0;
    const enter = () => registers.admit(writer(3)).then(() => (entered += 1));
    const both = Promise.all([enter(), enter()]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(entered).toBe(0);
    await flush();
    await both;
    expect([entered, written]).toEqual([2, [writer(3)]]);
  });

  test('raise only after everything lower has ended, and refuse it from then on', async () => {
    const { registers, flush } = records();
    const admitted = registers.admit(writer(1));
    await flush();
    const leave = await admitted;
    let fenced = false;
    const fencing = registers.fence(writer(2)).then(() => (fenced = true));
    await flush();
    expect(fenced).toBe(false);
    await expect(registers.admit(writer(1))).rejects.toMatchObject({ code: 'TokenSuperseded' });
    leave();
    leave();
    await flush();
    await fencing;
    expect(registers.highest(1)).toEqual(writer(2));
    await registers.fence(writer(2));
    await expect(registers.fence(writer(2, 0))).rejects.toMatchObject({ code: 'TokenSuperseded' });
    expect(registers.all()).toEqual([writer(2)]);
  });

  test('of other logs are none of their business', async () => {
    const { registers, flush } = records();
    const all = Promise.all([registers.admit(writer(9)), registers.admit({ logId: 2, term: 1, start: 1 })]);
    await flush();
    await all;
    expect(registers.highest(2)?.term).toBe(1);
  });
});
