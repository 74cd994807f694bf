/**
 * Fingerprints (48 bytes, SHA-384 of a public key) as text. In full: 77 characters of base32 (RFC 4648, lower case, no padding) or 96
 * hexadecimal digits; that is what is pinned. For a person to compare: the first 200 bits, as eight groups of five characters, for example
 * `k3s5q-…-7ab2c`. Finding a key whose fingerprint begins with a given 200 bits takes 2²⁰⁰ key pairs, or 2¹⁰⁰ steps of a quantum search.
 */
import { decodeBase32, encodeBase32 } from '../base32.ts';
import { HoldfastError } from '../errors.ts';

export const FINGERPRINT_BYTES = 48;
const SHORT_CHARS = 40;
const GROUP_CHARS = 5;
const HEX_PATTERN = new RegExp(`^[0-9a-f]{${FINGERPRINT_BYTES * 2}}$`);

/** In full: 77 characters of base32. */
export function fullFingerprint(fingerprint: Uint8Array): string {
  return encodeBase32(fingerprint);
}

/** For a person: 200 bits in eight groups of five characters. */
export function shortFingerprint(fingerprint: Uint8Array): string {
  const text = encodeBase32(fingerprint).slice(0, SHORT_CHARS);
  return (text.match(new RegExp(`.{${GROUP_CHARS}}`, 'g')) ?? []).join('-');
}

/** Reads the full form, in base32 or hexadecimal; case, spaces, colons and hyphens do not matter. @throws InvalidArgument saying what it is */
export function parseFingerprint(text: string): Buffer {
  const compact = compacted(text);
  const bytes = HEX_PATTERN.test(compact) ? Buffer.from(compact, 'hex') : decodeBase32(compact);
  if (bytes?.length === FINGERPRINT_BYTES) return bytes;
  const isShort = compact.length === SHORT_CHARS && decodeBase32(compact) !== undefined;
  throw new HoldfastError('InvalidArgument', {
    detail: isShort
      ? 'this is the short form of a fingerprint, which is for comparing; the full one has 77 characters'
      : `a fingerprint is 77 characters of base32 or 96 hexadecimal digits; these ${compact.length} characters are neither`,
  });
}

/** Whether `text`, the short form or the full one, is what a person would see for `fingerprint`. Fewer than 200 bits never match. */
export function matchesFingerprint(fingerprint: Uint8Array, text: string): boolean {
  const compact = compacted(text);
  const full = encodeBase32(fingerprint);
  return (
    compact === full.slice(0, SHORT_CHARS) ||
    compact === full ||
    compact === Buffer.from(fingerprint).toString('hex')
  );
}

function compacted(text: string): string {
  return text.replaceAll(/[\s:-]/g, '').toLowerCase();
}
