import { expect, test } from 'vitest';
import { fuzzParser, fuzzSessions } from './fuzz.ts';

test('the parser takes 200,000 inputs of any kind', () => {
  const { requests, refused } = fuzzParser(1, 200_000);
  expect(requests).toBeGreaterThan(30_000);
  expect(refused).toBeGreaterThan(30_000);
});

test('every request of any kind is answered', async () => {
  for (const seed of [1, 2, 3]) expect(await fuzzSessions(seed, 4000)).toBeGreaterThan(3000);
});
