import { expect, test } from 'vitest';
import { StripeMemory } from '../../../src/stripes/engine/memory.ts';

const profile = { k: 4, m: 2, codecId: 1 };
const counts = { write: 1, read: 1, rescue: 1, repair: 1 };

test('each pool has its own buffers: one that is empty holds up no other', async () => {
  const memory = new StripeMemory(profile, counts);
  await memory.acquireWrite();
  const waiting = memory.acquireWrite();
  const [read, rescue, repair] = await Promise.all([
    memory.acquireRead(),
    memory.acquireRepair('rescue'),
    memory.acquireRepair('repair'),
  ]);
  expect(memory.available('write')).toBe(0);
  expect(await Promise.race([waiting, Promise.resolve('waits')])).toBe('waits');
  for (const buffer of [read, rescue, repair]) buffer.release();
  expect(memory.available('read')).toBe(1);
});

test('who asked first gets the released buffer, and it is the same memory again', async () => {
  const memory = new StripeMemory(profile, counts);
  const first = await memory.acquireWrite();
  const order: number[] = [];
  const second = memory.acquireWrite().then((buffer) => {
    order.push(2);
    return buffer;
  });
  const third = memory.acquireWrite().then((buffer) => {
    order.push(3);
    return buffer;
  });
  first.release();
  const again = await second;
  expect(again.fragments.buffer).toBe(first.fragments.buffer);
  again.release();
  await third;
  expect(order).toEqual([2, 3]);
});

test('who gives up waiting takes no buffer', async () => {
  const memory = new StripeMemory(profile, counts);
  const held = await memory.acquireRead();
  const abort = new AbortController();
  const waiting = memory.acquireRead(abort.signal);
  abort.abort(new Error('client went away'));
  await expect(waiting).rejects.toThrow('client went away');
  held.release();
  expect(memory.available('read')).toBe(1);
});

test('a buffer is released once', async () => {
  const memory = new StripeMemory(profile, counts);
  const buffer = await memory.acquireRepair('repair');
  buffer.release();
  expect(() => buffer.release()).toThrow(/released twice/);
});

test('fragments of a full stripe begin at addresses that the fast loops can use', async () => {
  const { fragments } = await new StripeMemory(profile, counts).acquireWrite();
  expect(fragments.byteOffset % 64).toBe(0);
});

test('memory that is still used gives its place back at once, and is given out to nobody before it is free', async () => {
  const memory = new StripeMemory(profile, counts);
  const gate = Promise.withResolvers<void>();
  const first = await memory.acquireRepair('repair');
  first.releaseAfter(gate.promise);
  expect([memory.available('repair'), memory.retired('repair')]).toEqual([1, 1]);
  const second = await memory.acquireRepair('repair');
  expect(second.fragments.buffer).not.toBe(first.fragments.buffer);
  second.release();
  gate.resolve();
  await gate.promise;
  await Promise.resolve();
  expect([memory.available('repair'), memory.retired('repair')]).toEqual([1, 0]);
  expect(() => first.release()).toThrow(/released twice/);
});

test('only so much memory is replaced: beyond that, places wait for their memory', async () => {
  const memory = new StripeMemory(profile, counts);
  const gate = Promise.withResolvers<void>();
  let replaced = 0;
  while (memory.available('read') > 0) {
    const buffer = await memory.acquireRead();
    buffer.releaseAfter(gate.promise);
    replaced += memory.available('read');
    expect(replaced).toBeLessThan(100);
  }
  expect(memory.retired('read')).toBe(replaced);
  const waiting = memory.acquireRead();
  gate.reject(new Error('also a failure is an end'));
  await waiting;
  expect(memory.retired('read')).toBe(0);
});
