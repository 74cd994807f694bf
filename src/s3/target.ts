/**
 * The request target as S3 reads it (RFC 9112 section 3.2; "URI encode" of AWS's SigV4 pages). The path is decoded
 * exactly once and never normalised: `//`, leading slashes and dot segments are part of a key, `+` in a path is a plus.
 * In a query `+` is a space, as every SDK's form decoder has it. What is not valid UTF-8 or has a broken percent escape
 * is refused with InvalidURI instead of being guessed at.
 *
 * Node hands over the target as latin-1; bytes above 0x7e that a client sent unescaped are escaped here first.
 */
import { HoldfastError } from '../base/errors.ts';

export type QueryPair = readonly [name: string, value: string];

export interface RequestTarget {
  /** Percent-encoded as it came, starting with '/'. */
  readonly rawPath: string;
  /** Decoded. */
  readonly path: string;
  /** Decoded pairs in the order they came. */
  readonly query: readonly QueryPair[];
}

const plainPath = /^[A-Za-z0-9\-._~/]*$/;
const unescaped = /[^\x21-\x7e]/g;
const noPairs: readonly QueryPair[] = [];

/** Takes `url` of node's IncomingMessage apart. Accepts the absolute form (RFC 9112 section 3.2.2). */
export function parseTarget(url: string): RequestTarget {
  const target = url.charCodeAt(0) === 0x2f ? url : originForm(url);
  const mark = target.indexOf('?');
  const rawPath = escapeRaw(mark < 0 ? target : target.slice(0, mark));
  const rawQuery = mark < 0 ? '' : escapeRaw(target.slice(mark + 1));
  if (rawPath.includes('#') || rawQuery.includes('#')) throw invalidUri('it has a fragment');
  return {
    rawPath,
    path: plainPath.test(rawPath) ? rawPath : decode(rawPath, 'path'),
    query: rawQuery === '' ? noPairs : parseQuery(rawQuery),
  };
}

function originForm(url: string): string {
  const scheme = url.indexOf('://');
  if (scheme < 0) throw invalidUri('it does not start with a slash');
  const path = url.indexOf('/', scheme + 3);
  if (path >= 0) return url.slice(path);
  const query = url.indexOf('?', scheme + 3);
  return query < 0 ? '/' : `/${url.slice(query)}`;
}

function escapeRaw(text: string): string {
  return text.replace(
    unescaped,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

function parseQuery(raw: string): QueryPair[] {
  const pairs: QueryPair[] = [];
  for (const part of raw.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    const value = equals < 0 ? '' : part.slice(equals + 1);
    pairs.push([decodeQuery(name), decodeQuery(value)]);
  }
  return pairs;
}

function decodeQuery(text: string): string {
  return decode(text.includes('+') ? text.replaceAll('+', ' ') : text, 'query');
}

function decode(text: string, where: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidUri(`the ${where} has a broken percent escape or is not UTF-8`);
  }
}

function invalidUri(why: string): HoldfastError {
  return new HoldfastError('InvalidURI', { detail: `Couldn't parse the specified URI: ${why}.` });
}

const reservedKept = /[!'()*]/g;
const encodeReserved = (char: string) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;

/** AWS's UriEncode: all but A–Z a–z 0–9 - . _ ~ becomes %XX of its UTF-8 bytes. `text` is well-formed UTF-16. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(reservedKept, encodeReserved);
}

/** The same for a path: slashes stay. */
export function uriEncodePath(path: string): string {
  return plainPath.test(path) ? path : uriEncode(path).replaceAll('%2F', '/');
}
