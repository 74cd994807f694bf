/** Values that are none of what native functions take, and what they have to do about them. */
export const noBytes: readonly unknown[] = [
  undefined,
  null,
  7,
  'bytes',
  {},
  [1, 2, 3],
  new ArrayBuffer(8),
  new Uint16Array(8),
  new Int8Array(8),
  new DataView(new ArrayBuffer(8)),
  () => 0,
];
export const noNumbers: readonly unknown[] = [null, '1', 1n, {}, [], true, Symbol('1')];
export const noBigInts: readonly unknown[] = [null, 1, '1', {}, [], true, Symbol('1')];
export const badLengths = [-1, 0.5, 2 ** 53 + 2, 2 ** 64, Number.NaN, Number.POSITIVE_INFINITY];
export const badCrc32s = [-1, 0.5, 2 ** 32, 2 ** 53, Number.NaN];
export const badCrc64s = [-1n, 1n << 64n, 1n << 200n, -(1n << 64n)];

/** @throws unless the work throws an error of that class */
export function mustRefuse(error: typeof TypeError | typeof RangeError, work: () => unknown): void {
  let result: unknown;
  try {
    result = work();
  } catch (thrown) {
    if (thrown instanceof error) return;
    throw new Error(`${thrown} where a ${error.name} was due`);
  }
  throw new Error(`${String(result)} where a ${error.name} was due`);
}
