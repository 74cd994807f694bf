import { expect, test } from 'vitest';
import { availableCodecs, codecById, DEFAULT_CODEC_ID } from '../../src/coding/registry.ts';

test('codec 1 is always there and is the default', () => {
  expect(DEFAULT_CODEC_ID).toBe(1);
  expect(codecById(DEFAULT_CODEC_ID).id).toBe(1);
  expect(availableCodecs[0]!.id).toBe(1);
});

test('an unknown codec is refused by name', () => {
  expect(() => codecById(9)).toThrow(/codec 9 is not available/);
});
