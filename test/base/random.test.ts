import { expect, test } from 'vitest';
import { systemRandom } from '../../src/base/random.ts';

test('random bytes of all lengths never repeat and stand in buffers of their own', () => {
  const seen = new Set<string>();
  for (let i = 0; i < 2000; i++) {
    const bytes = systemRandom.bytes(16 + (i % 200));
    expect(bytes.buffer.byteLength).toBe(bytes.length);
    expect(seen.has(bytes.toString('hex', 0, 16))).toBe(false);
    seen.add(bytes.toString('hex', 0, 16));
  }
});
