import { expect, test } from 'vitest';
import { describeKernels } from '../../src/base/kernels.ts';
import type { NativeAddon } from '../../src/base/native.ts';

const addon = (canSeal: boolean) => ({ level: () => 'avx512', canSeal: () => canSeal }) as NativeAddon;

test('native kernels are named with their level and what encrypts', () => {
  expect(describeKernels({ addon: addon(true) }, '3.5.4')).toEqual({
    kind: 'native',
    level: 'avx512',
    text: "native, avx512 (AES by the process's OpenSSL 3.5.4)",
  });
  expect(describeKernels({ addon: addon(false) }, '3.5.4').text).toContain('exports no AES');
});

test('portable ones are named with the reason', () => {
  expect(describeKernels({ reason: 'no C compiler when it was installed' }, '3.5.4')).toEqual({
    kind: 'portable',
    level: 'none',
    text: 'portable (no C compiler when it was installed)',
  });
});
