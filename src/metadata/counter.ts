/**
 * Values of counters (the `k` and `l` families of keys.ts): signed 64-bit, big-endian. They are numbers in memory, exact
 * up to 2⁵³ − 1, which is 8 PiB when bytes are counted.
 */
import { assert } from '../base/assert.ts';

export const COUNTER_BYTES = 8;

export function encodeCounter(value: number): Buffer {
  assert(Number.isSafeInteger(value), `counter ${value} is not a safe integer`);
  const bytes = Buffer.allocUnsafeSlow(COUNTER_BYTES);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

/** An absent counter is 0. */
export function decodeCounter(bytes: Uint8Array | undefined): number {
  if (bytes === undefined) return 0;
  assert(bytes.length === COUNTER_BYTES, `a counter has ${COUNTER_BYTES} bytes, not ${bytes.length}`);
  const value = Number(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readBigInt64BE());
  assert(Number.isSafeInteger(value), 'a counter is above 2^53');
  return value;
}
