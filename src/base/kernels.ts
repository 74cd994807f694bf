/** Which kernels this process runs, for people and for machines. */
import { type NativeState, native } from './native.ts';

export interface KernelsReport {
  readonly kind: 'native' | 'portable';
  /** Of native/kernels/cpu.h; `none` for the portable ones, which are TypeScript and WebAssembly. */
  readonly level: string;
  /** `native, avx512 (AES by the process's OpenSSL 3.5.4)`, `portable (no C compiler when it was installed)` */
  readonly text: string;
}

export function describeKernels({ addon, reason }: NativeState, openssl: string): KernelsReport {
  if (addon === undefined) return { kind: 'portable', level: 'none', text: `portable (${reason})` };
  const level = addon.level();
  const aes = addon.canSeal()
    ? `AES by the process's OpenSSL ${openssl}`
    : "stripes on worker threads, since the process's OpenSSL exports no AES";
  return { kind: 'native', level, text: `native, ${level} (${aes})` };
}

export function kernelsReport(): KernelsReport {
  return describeKernels(native(), process.versions.openssl);
}
