/**
 * Object keys and upload ids at the border between strings and stored bytes.
 *
 * A key is any well-formed Unicode string of 1 to 1,024 bytes in UTF-8 (S3 User Guide, "Naming Amazon S3 objects"). Keys
 * are stored and ordered as these bytes: for UTF-8 that is code point order, which differs from the order of JavaScript
 * strings above U+FFFF. A string with a lone surrogate has no UTF-8 form; `Buffer.from` would quietly turn it into
 * another key, so it is refused.
 */
import { HoldfastError } from '../base/errors.ts';

export const KEY_BYTES_MAX = 1024;
export const UPLOAD_ID_BYTES = 16;

/**
 * The stored form of an object key.
 * @throws InvalidArgument when it is empty, KeyTooLongError above 1,024 bytes, InvalidURI when it is not well-formed.
 */
export function encodeKey(key: string): Buffer {
  if (key.length === 0)
    throw new HoldfastError('InvalidArgument', { detail: 'An object key cannot be empty.' });
  const bytes = encodeName(key);
  if (bytes.length > KEY_BYTES_MAX) {
    throw new HoldfastError('KeyTooLongError', {
      fields: { Size: String(bytes.length), MaxSizeAllowed: String(KEY_BYTES_MAX) },
    });
  }
  return bytes;
}

/**
 * UTF-8 of a prefix, delimiter or marker, which may be empty or longer than any key.
 * @throws InvalidURI when it is not well-formed.
 */
export function encodeName(name: string): Buffer {
  if (!name.isWellFormed()) throw new HoldfastError('InvalidURI');
  return Buffer.from(name, 'utf8');
}

/** What clients see of an upload id: 32 hexadecimal digits, so that text and bytes sort alike. */
export function formatUploadId(uploadId: Buffer): string {
  return uploadId.toString('hex');
}

/** The bytes of an upload id; undefined for anything that `formatUploadId` does not produce. */
export function parseUploadId(text: string): Buffer | undefined {
  return /^[0-9a-f]{32}$/.test(text) ? Buffer.from(text, 'hex') : undefined;
}
