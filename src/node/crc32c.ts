/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the native addon or a table. It covers record headers of about a hundred bytes,
 * where a call into WebAssembly costs more than the table's loop, and the rare values that carry no BLAKE3 trailer.
 */
import { native } from '../base/native.ts';

const table = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  table[byte] = value >>> 0;
}

/** As many bytes as the table gets through in the time of a native call (60 ns with the view it needs). */
const NATIVE_BYTES_MIN = 40;

/** CRC-32C of `bytes[start, end)`, continuing from `crc`, the value of what came before. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length, crc = 0): number {
  if (end - start >= NATIVE_BYTES_MIN) {
    const { addon } = native();
    if (addon !== undefined) {
      const whole = start === 0 && end === bytes.length;
      return addon.crc32c(whole ? bytes : bytes.subarray(start, end), crc);
    }
  }
  return crc32cByTable(bytes, start, end, crc);
}

/** The same without the addon. */
export function crc32cByTable(bytes: Uint8Array, start = 0, end = bytes.length, crc = 0): number {
  let state = ~crc;
  for (let i = start; i < end; i++) state = table[(state ^ bytes[i]!) & 0xff]! ^ (state >>> 8);
  return ~state >>> 0;
}
