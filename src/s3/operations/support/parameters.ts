/** Query parameters of listings, with AWS's rules and messages. */
import { HoldfastError } from '../../../base/errors.ts';
import { invalidArgument } from '../../headers-values.ts';

/** AWS: a page never has more entries than this, whatever is asked for. */
export const PAGE_ENTRIES_MAX = 1000;
const INTEGER_MAX = 2 ** 31 - 1;

/**
 * A count of entries: absent means the most there can be, more than that is cut to it. @throws
 * InvalidArgument
 */
export function pageSize(query: URLSearchParams, name: string, entriesMax = PAGE_ENTRIES_MAX): number {
  return Math.min(integer(query.get(name), name, entriesMax), entriesMax);
}

/** A whole number from 0 to 2³¹ − 1. Absent or empty gives `fallback`. @throws InvalidArgument */
export function integer(value: string | null | undefined, name: string, fallback: number): number {
  if (value === null || value === undefined || value === '') return fallback;
  const number = /^[+-]?\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isNaN(number)) {
    throw invalidArgument(name, value, `Provided ${name} not an integer or within integer range`);
  }
  if (number < 0 || number > INTEGER_MAX) {
    throw invalidArgument(name, value, `Argument ${name} must be an integer between 0 and ${INTEGER_MAX}`);
  }
  return number;
}

/** `encoding-type=url` or nothing. @throws InvalidArgument */
export function urlEncoded(query: URLSearchParams): boolean {
  const value = query.get('encoding-type');
  if (!value) return false;
  if (value.toLowerCase() === 'url') return true;
  throw invalidArgument('encoding-type', value, 'Invalid Encoding Method specified in Request');
}

export const PARTS_MAX = 10_000;

/** @throws InvalidArgument */
export function partNumber(query: URLSearchParams): number {
  const value = query.get('partNumber') ?? '';
  const number = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  if (number < 1 || number > PARTS_MAX) {
    throw invalidArgument(
      'partNumber',
      value,
      `Part number must be an integer between 1 and ${PARTS_MAX}, inclusive`,
    );
  }
  return number;
}

/** The first character of a token names its form, so that a later form can be told from this one. */
const TOKEN_FORM = '1';

/** An opaque token for the page after `last`. It holds no state: any server can continue from it. */
export function encodeToken(last: string): string {
  return TOKEN_FORM + Buffer.from(last, 'utf8').toString('base64url');
}

/** @throws InvalidArgument for anything that `encodeToken` did not make */
export function decodeToken(token: string): string {
  const bytes = Buffer.from(token.slice(1), 'base64url');
  const last = bytes.toString('utf8');
  if (bytes.length > 0 && encodeToken(last) === token) return last;
  throw invalidArgument('continuation-token', token, 'The continuation token provided is incorrect');
}

/**
 * Which further elements of a listing were asked for: RestoreStatus, which no object has here. @throws
 * InvalidArgument
 */
export function checkOptionalAttributes(value: string | string[] | undefined): void {
  for (const attribute of String(value ?? '').split(',')) {
    if (attribute.trim() === '' || attribute.trim() === 'RestoreStatus') continue;
    throw new HoldfastError('InvalidArgument', {
      detail: 'Invalid attribute name specified',
      fields: { ArgumentName: 'x-amz-optional-object-attributes', ArgumentValue: attribute.trim() },
    });
  }
}
