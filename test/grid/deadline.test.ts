/** Waiting with a deadline, also across a stall of this process. */
import { expect, test } from 'vitest';
import { within } from '../../src/grid/deadline.ts';
import { SimulatedClock } from '../simulation/clock.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('says what came of it, and how long it took', async () => {
  const clock = new SimulatedClock();
  const work = clock.sleep(40).then(() => 'done');
  const waiting = within(clock, 100, work);
  await clock.advance(40);
  expect(await waiting).toEqual({ kind: 'done', value: 'done', durationMs: 40 });
  const error = new Error('no');
  expect(await within(clock, 100, Promise.reject(error))).toEqual({ kind: 'failed', error });
});

test('what fails after its deadline rejects nowhere', async () => {
  const clock = new SimulatedClock();
  const waiting = within(
    clock,
    100,
    clock.sleep(200).then(() => Promise.reject(new Error('late'))),
  );
  await clock.advance(100);
  expect(await waiting).toEqual({ kind: 'late' });
  await clock.advance(100);
  await turn();
});

test('a stall of this process is not the node’s: the deadline moves by as much as the timer was late', async () => {
  const clock = new SimulatedClock();
  const answer = Promise.withResolvers<string>();
  const waiting = within(clock, 250, answer.promise);
  clock.leap(3000);
  clock.fireNext();
  await turn();
  answer.resolve('was there all along');
  expect((await waiting).kind).toBe('done');
});

test('after a stall a node that still does not answer is late', async () => {
  const clock = new SimulatedClock();
  const waiting = within(clock, 250, new Promise(() => undefined));
  clock.leap(3000);
  await clock.advance(0);
  await clock.advance(249);
  await clock.advance(1);
  expect(await waiting).toEqual({ kind: 'late' });
});

test('a process that does nothing but stall comes to an end as well', async () => {
  const clock = new SimulatedClock();
  const waiting = within(clock, 250, new Promise(() => undefined));
  for (let i = 0; i < 10; i++) {
    clock.leap(1000);
    clock.fireNext();
    await turn();
  }
  expect(await waiting).toEqual({ kind: 'late' });
});
