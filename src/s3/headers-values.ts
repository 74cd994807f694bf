/**
 * Small pieces that several header and element renderers share: dates, entity tags, values that may go into a
 * header. Object times are shown in whole seconds everywhere, as AWS does, so that Last-Modified and a
 * listing agree and a date sent back in If-Unmodified-Since holds.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { HoldfastError } from '../base/errors.ts';

/** A header as one string. Node joins repeated ones with ', ' except Set-Cookie, which S3 does not have. */
export function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

export function invalidArgument(name: string, value: string, detail: string): HoldfastError {
  return new HoldfastError('InvalidArgument', {
    detail,
    fields: { ArgumentName: name, ArgumentValue: value },
  });
}

/** AWS's code for a header or parameter that is known but not there, with its name in the message. */
export function notImplemented(what: string): HoldfastError {
  return new HoldfastError('NotImplemented', { detail: `${what} is not implemented.` });
}

const TWO_DIGITS = Array.from({ length: 60 }, (_, i) => String(i).padStart(2, '0'));
const DAY_SECONDS = 86_400;
let lastDay = Number.NaN;
let lastDayText = '';

/**
 * `2009-10-12T17:50:30.000Z`. A listing shows a thousand, mostly of few days, so the day's text is kept and the
 * rest put together from digits: with `Date.toISOString` a page takes about half as long again.
 */
export function isoDate(timeMs: number): string {
  const second = Math.floor(timeMs / 1000);
  const day = Math.floor(second / DAY_SECONDS);
  if (day !== lastDay) {
    lastDayText = new Date(day * DAY_SECONDS * 1000).toISOString().slice(0, 11);
    lastDay = day;
  }
  const rest = second - day * DAY_SECONDS;
  const hour = TWO_DIGITS[Math.floor(rest / 3600)];
  const minute = TWO_DIGITS[Math.floor(rest / 60) % 60];
  return `${lastDayText}${hour}:${minute}:${TWO_DIGITS[rest % 60]}.000Z`;
}

/** `Mon, 12 Oct 2009 17:50:30 GMT`, RFC 9110 section 5.6.7. */
export function httpDate(timeMs: number): string {
  return new Date(Math.floor(timeMs / 1000) * 1000).toUTCString();
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** `Sun, 06 Nov 1994 08:49:37 GMT`, and RFC 850's `Sunday, 06-Nov-94 08:49:37 GMT`. */
const HTTP_DATE =
  /^[a-z]+, (\d{1,2})[ -]([a-z]{3})[ -](\d{2}|\d{4}) (\d{2}):(\d{2}):(\d{2}) (?:gmt|utc|[+-]0000)$/;
/** `Sun Nov  6 08:49:37 1994` of C's asctime. */
const ASCTIME = /^[a-z]{3} ([a-z]{3}) {1,2}(\d{1,2}) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/;
const ISO_DATE = /^\d{4}-\d{2}-\d{2}t\d{2}:\d{2}:\d{2}(\.\d{1,9})?z$/;

/**
 * Milliseconds since 1970 of an HTTP date in any of the three forms of RFC 9110, or of an ISO 8601 one, which
 * AWS's service model also lets clients send. Undefined when it is none: RFC 9110 section 13.1 has such
 * conditions ignored.
 */
export function parseHttpDate(text: string): number | undefined {
  const value = text.trim().toLowerCase();
  const http = HTTP_DATE.exec(value);
  if (http) return utc(fullYear(http[3]), http[2], http[1], http[4], http[5], http[6]);
  const asctime = ASCTIME.exec(value);
  if (asctime) return utc(Number(asctime[6]), asctime[1], asctime[2], asctime[3], asctime[4], asctime[5]);
  if (!ISO_DATE.test(value)) return undefined;
  const parsed = Date.parse(value.toUpperCase());
  return Number.isNaN(parsed) ? undefined : parsed;
}

function utc(year: number, month = '', day = '', hour = '', minute = '', second = ''): number | undefined {
  const monthIndex = MONTHS.indexOf(month);
  if (monthIndex < 0) return undefined;
  const date = new Date(
    Date.UTC(year, monthIndex, Number(day), Number(hour), Number(minute), Number(second)),
  );
  const exact = date.getUTCDate() === Number(day) && Number(hour) < 24 && Number(minute) < 60;
  return exact && Number(second) <= 60 ? date.getTime() : undefined;
}

/** RFC 850 years have two digits: 70 to 99 are the last century's. */
function fullYear(digits = ''): number {
  const year = Number(digits);
  if (digits.length === 4) return year;
  return year < 70 ? 2000 + year : 1900 + year;
}

/** An ETag as headers and documents show it. */
export function quoteEtag(etag: string): string {
  return `"${etag}"`;
}

/** Without quotes and without the weak prefix; many S3 clients send ETags unquoted. */
export function unquoteEtag(text: string): string {
  const value = text.trim().replace(/^W\//, '');
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/**
 * A string from a query or document as the value of a response header: its UTF-8 bytes, no control
 * characters.
 */
export function headerSafe(name: string, value: string): string {
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) {
    throw invalidArgument(name, '', `The value of ${name} contains a control character.`);
  }
  return Buffer.from(value, 'utf8').toString('latin1');
}
