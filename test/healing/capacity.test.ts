import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { diskLossesSurvived, usableBytes } from '../../src/healing/capacity.ts';

describe('usable capacity', () => {
  test('equal nodes give k of n parts', () => {
    expect(usableBytes([100, 100, 100, 100, 100, 100], 4, 2)).toBe(400);
  });

  test('the smallest of exactly n nodes decides', () => {
    expect(usableBytes([10, 100, 100, 100, 100, 100], 4, 2)).toBe(40);
  });

  test('fewer nodes than fragments hold nothing at full width', () => {
    expect(usableBytes([100, 100, 100], 4, 2)).toBe(0);
  });

  test('agrees with a search over every T', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 9 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 3 }),
        (capacities, k, m) => {
          let best = 0;
          for (let t = 1; t <= 400; t++) {
            const sum = capacities.reduce((total, capacity) => total + Math.min(capacity, t), 0);
            if (capacities.length >= k + m && sum >= (k + m) * t) best = t;
          }
          expect(usableBytes(capacities, k, m)).toBe(k * best);
        },
      ),
    );
  });
});

describe('disk losses', () => {
  test('six folders on one disk survive no disk loss', () => {
    expect(diskLossesSurvived(['a', 'a', 'a', 'a', 'a', 'a'], 2)).toBe(0);
  });

  test('six disks survive m of them', () => {
    expect(diskLossesSurvived(['a', 'b', 'c', 'd', 'e', 'f'], 2)).toBe(2);
  });

  test('the largest disk counts first', () => {
    expect(diskLossesSurvived(['a', 'a', 'b', 'c', 'd', 'e'], 2)).toBe(1);
  });
});
