/**
 * Small files of JSON that this program keeps for itself: `product`, `kind` and `format` first, the rest checked field by field. Errors
 * name the file and the field and never show a value, since some of these files hold secrets.
 */
import { HoldfastError } from './errors.ts';

export function invalidFile(path: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('DataDirectoryInvalid', { detail: `${path}: ${why}`, cause });
}

/**
 * The fields of a document of this kind, of a format from 1 to `formatMax`.
 * @throws DataDirectoryInvalid naming what is wrong, FormatTooNew
 */
export function parseDocument(
  text: string,
  path: string,
  kind: string,
  formatMax: number,
): Record<string, unknown> {
  let document: Record<string, unknown>;
  try {
    document = Object(JSON.parse(text));
  } catch {
    // The parser's message quotes the text.
    throw invalidFile(path, 'is not JSON');
  }
  const { product, format } = document;
  if (product !== 'holdfast' || document['kind'] !== kind) {
    throw invalidFile(path, `is not what it should be: ${kind} of Holdfast`);
  }
  if (!Number.isInteger(format) || Number(format) < 1) {
    throw invalidFile(path, '"format" is not a whole number above 0');
  }
  if (Number(format) > formatMax) {
    throw new HoldfastError('FormatTooNew', {
      detail: `${path}: format ${format} was written by a newer Holdfast; this one reads up to ${formatMax}`,
    });
  }
  return document;
}

export function encodeDocument(kind: string, format: number, fields: Record<string, unknown>): string {
  return `${JSON.stringify({ product: 'holdfast', kind, format, ...fields }, null, 2)}\n`;
}

/** Bytes of their own, outside of the buffer pool. @throws DataDirectoryInvalid */
export function hexField(value: unknown, lengthBytes: number, name: string, path: string): Buffer {
  if (typeof value !== 'string' || value.length !== lengthBytes * 2 || !/^[0-9a-f]*$/.test(value)) {
    throw invalidFile(path, `"${name}" is not ${lengthBytes * 2} lower-case hexadecimal digits`);
  }
  const bytes = Buffer.alloc(lengthBytes);
  bytes.write(value, 'hex');
  return bytes;
}
