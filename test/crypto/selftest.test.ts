import { expect, test } from 'vitest';
import { platformSelfTest } from '../../src/crypto/selftest.ts';

test('this platform passes', () => {
  expect(() => platformSelfTest()).not.toThrow();
});

test.each(['20.19.0', '24.0.0', '24.7.0', '24.14.9'])('Node %s is refused', (version) => {
  expect(() => platformSelfTest(version)).toThrow(
    expect.objectContaining({
      code: 'PlatformUnsupported',
      message: `Node.js 24.15 or later is needed, this is ${version}`,
    }),
  );
});

test.each(['24.15.0', '25.0.0', '30.1.2'])('Node %s is new enough', (version) => {
  expect(() => platformSelfTest(version)).not.toThrow();
});
