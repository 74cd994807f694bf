/** What makes a node suspect, offline or trusted again, and how long it is waited for. */
import { beforeEach, describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { LATE_EXCHANGES_MAX, NodeHealth, Percentile } from '../../src/grid/health.ts';
import { SimulatedClock } from '../simulation/clock.ts';

let clock: SimulatedClock;
let health: NodeHealth;
beforeEach(() => {
  clock = new SimulatedClock();
  health = new NodeHealth(clock);
});

function write(durationMs: number, times: number, late = false): void {
  for (let i = 0; i < times; i++) health.record({ kind: 'write', durationMs, late });
}

describe('a percentile', () => {
  test('asked for while there is nothing counts the samples that follow', () => {
    const percentile = new Percentile();
    expect(percentile.p95()).toBe(0);
    for (let i = 1; i <= 15; i++) {
      percentile.add(400);
      expect(percentile.p95()).toBe(400);
    }
  });

  test('is of the last 128 samples', () => {
    const percentile = new Percentile();
    for (let i = 0; i < 200; i++) percentile.add(1000);
    for (let i = 0; i < 128; i++) percentile.add(i);
    expect(percentile.p95()).toBe(121);
    expect(percentile.size).toBe(128);
  });
});

describe('deadlines', () => {
  test('are generous to a node that is not known yet', () => {
    expect([health.writeDeadlineMs(), health.readDeadlineMs()]).toEqual([2000, 2000]);
    write(5, 7);
    expect(health.writeDeadlineMs()).toBe(2000);
  });

  test('are four times the 95th percentile, within bounds', () => {
    write(5, 8);
    expect(health.writeDeadlineMs()).toBe(250);
    write(300, 128);
    expect(health.writeDeadlineMs()).toBe(1200);
    write(60_000, 128);
    expect(health.writeDeadlineMs()).toBe(10_000);
    for (let i = 0; i < 8; i++) health.record({ kind: 'read', durationMs: 1 });
    expect(health.readDeadlineMs()).toBe(100);
  });

  test('follow a disk that became slower, from late answers', () => {
    write(10, 128);
    write(400, 16, true);
    expect(health.writeDeadlineMs()).toBe(1000);
    write(400, 16, true);
    expect(health.writeDeadlineMs()).toBe(1600);
  });

  test('are hardly moved by one answer that took for ever', () => {
    write(10, 8);
    write(3_600_000, 1, true);
    expect(health.writeDeadlineMs()).toBe(1000);
    write(10, 64);
    expect(health.writeDeadlineMs()).toBe(250);
  });
});

describe('states', () => {
  const miss = () => health.record({ kind: 'missedDeadline' });

  test('three misses within five seconds make a node suspect, for 15 seconds after the last', () => {
    miss();
    miss();
    expect(health.state).toBe('online');
    miss();
    expect([health.state, health.missedLately]).toEqual(['suspect', true]);
    clock.leap(14_999);
    expect(health.state).toBe('suspect');
    clock.leap(1);
    expect([health.state, health.missedLately, health.problem]).toEqual(['online', false, '']);
  });

  test('rare misses do not', () => {
    for (let i = 0; i < 20; i++) {
      miss();
      clock.leap(2501);
      expect(health.state).toBe('online');
    }
  });

  test('a node that says it cannot is offline until it answers', () => {
    health.record({ kind: 'failed', error: new HoldfastError('NodeUnavailable', { detail: 'gone' }) });
    expect([health.state, health.problem]).toEqual(['offline', 'gone']);
    health.answered();
    expect(health.state).toBe('online');
  });

  test('a node in which exchanges hang is suspect until they end', () => {
    const ended = Array.from({ length: LATE_EXCHANGES_MAX }, () => health.late('write'));
    expect([health.isStuck('write'), health.isStuck('read'), health.state]).toEqual([true, false, 'suspect']);
    clock.leap(3_600_000);
    expect(health.state).toBe('suspect');
    expect(health.problem).toContain('4 writes hang');
    ended[0]?.();
    ended[0]?.();
    expect([health.isStuck('write'), health.state]).toEqual([false, 'online']);
  });
});
