/**
 * Reads what a request says about its signature: the Authorization header or the X-Amz-* query parameters of a
 * presigned URL. Only form is checked here; sigv4.ts checks truth. Codes and messages follow what S3 answers.
 */
import { HoldfastError } from '../base/errors.ts';
import { DAY_MS, SECOND_MS } from '../base/units.ts';
import type { QueryPair } from './target.ts';

export const ALGORITHM = 'AWS4-HMAC-SHA256';
const ALGORITHM_V4A = 'AWS4-ECDSA-P256-SHA256';

/** X-Amz-Expires: a week at most. */
export const EXPIRES_SECONDS_MAX = (7 * DAY_MS) / SECOND_MS;

export interface Scope {
  readonly accessKeyId: string;
  /** YYYYMMDD */
  readonly date: string;
  readonly region: string;
  /** date/region/s3/aws4_request */
  readonly text: string;
}

export interface Claim {
  readonly scope: Scope;
  /** Lower case, in the order in which they were signed. */
  readonly signedHeaders: readonly string[];
  /** 64 hex digits. */
  readonly signature: string;
}

export interface PresignedClaim extends Claim {
  /** YYYYMMDDTHHMMSSZ */
  readonly dateTime: string;
  readonly expiresSeconds: number;
}

const signatureForm = /^[0-9a-f]{64}$/;
const dateForm = /^[0-9]{8}$/;
const dateTimeForm = /^[0-9]{8}T[0-9]{6}Z$/;

/** `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`; blanks after the commas are optional. */
export function parseAuthorization(header: string): Claim {
  const space = header.indexOf(' ');
  const algorithm = space < 0 ? header : header.slice(0, space);
  if (algorithm !== ALGORITHM) throw unsupported(algorithm, 'Authorization');
  let credential: string | undefined;
  let signedHeaders: string | undefined;
  let signature: string | undefined;
  for (const part of header.slice(space + 1).split(',')) {
    const equals = part.indexOf('=');
    const name = part.slice(0, Math.max(equals, 0)).trim();
    const value = part.slice(equals + 1).trim();
    if (name === 'Credential' && credential === undefined) credential = value;
    else if (name === 'SignedHeaders' && signedHeaders === undefined) signedHeaders = value;
    else if (name === 'Signature' && signature === undefined) signature = value;
    else throw headerMalformed('it has a part that is repeated or unknown');
  }
  if (!credential) throw headerMalformed('the authorization header requires the Credential component');
  if (!signedHeaders) throw headerMalformed('the authorization header requires the SignedHeaders component');
  if (!signature) throw headerMalformed('the authorization header requires the Signature component');
  if (!signatureForm.test(signature)) throw headerMalformed('the Signature is not 64 hex digits');
  return {
    scope: parseScope(credential, headerMalformed),
    signedHeaders: signedHeaders.toLowerCase().split(';'),
    signature,
  };
}

/** Whether the query carries any kind of signature. */
export function queryAuthentication(query: readonly QueryPair[]): 'v4' | 'v2' | undefined {
  for (const [name] of query) {
    if (name === 'X-Amz-Algorithm' || name === 'X-Amz-Signature' || name === 'X-Amz-Credential') return 'v4';
    if (name === 'AWSAccessKeyId' || name === 'Signature') return 'v2';
  }
  return undefined;
}

export function parsePresigned(query: readonly QueryPair[]): PresignedClaim {
  const found = new Map<string, string>();
  for (const [name, value] of query) {
    if (!presigningParameters.has(name)) continue;
    if (found.has(name)) throw queryMalformed(`${name} is repeated`);
    found.set(name, value);
  }
  const part = (name: string): string => {
    const value = found.get(name);
    if (!value) {
      throw queryMalformed(
        'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters',
      );
    }
    return value;
  };
  const algorithm = part('X-Amz-Algorithm');
  if (algorithm === ALGORITHM_V4A) throw unsupported(algorithm, 'X-Amz-Algorithm');
  if (algorithm !== ALGORITHM) throw queryMalformed(`X-Amz-Algorithm only supports "${ALGORITHM}"`);
  const scope = parseScope(part('X-Amz-Credential'), queryMalformed);
  const dateTime = part('X-Amz-Date');
  if (parseDateTime(dateTime) === undefined) {
    throw queryMalformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  }
  if (!dateTime.startsWith(scope.date)) {
    throw queryMalformed(`Invalid credential date "${scope.date}". It must be the date of X-Amz-Date`);
  }
  const signature = part('X-Amz-Signature');
  if (!signatureForm.test(signature)) throw queryMalformed('X-Amz-Signature is not 64 hex digits');
  return {
    scope,
    signedHeaders: part('X-Amz-SignedHeaders').toLowerCase().split(';'),
    signature,
    dateTime,
    expiresSeconds: parseExpires(part('X-Amz-Expires')),
  };
}

/** Parameters that belong to presigning, never to an operation. */
export const presigningParameters: ReadonlySet<string> = new Set([
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-SignedHeaders',
  'X-Amz-Signature',
]);

function parseExpires(text: string): number {
  if (text.startsWith('-')) throw queryMalformed('X-Amz-Expires must be non-negative');
  if (!/^[0-9]{1,10}$/.test(text)) throw queryMalformed('X-Amz-Expires should be a number');
  const seconds = Number(text);
  if (seconds < 1) throw queryMalformed('X-Amz-Expires must be at least 1 second');
  if (seconds > EXPIRES_SECONDS_MAX) {
    throw queryMalformed(
      `X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ${EXPIRES_SECONDS_MAX} seconds`,
    );
  }
  return seconds;
}

/** The access key id may itself contain slashes; the scope does not. Any region is accepted. */
function parseScope(credential: string, malformed: (why: string) => HoldfastError): Scope {
  const parts = credential.split('/');
  const [date = '', region = '', service = '', terminal = ''] = parts.slice(-4);
  const accessKeyId = parts.slice(0, -4).join('/');
  if (parts.length < 5 || accessKeyId === '' || region === '') {
    throw malformed(
      'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"',
    );
  }
  if (!dateForm.test(date)) throw malformed(`invalid credential date "${date}". It must be YYYYMMDD`);
  if (service !== 's3') throw malformed(`incorrect service "${service}". This endpoint belongs to "s3"`);
  if (terminal !== 'aws4_request') {
    throw malformed(`incorrect terminal "${terminal}". This endpoint uses "aws4_request"`);
  }
  return { accessKeyId, date, region, text: `${date}/${region}/s3/aws4_request` };
}

/** Milliseconds since 1970 of YYYYMMDDTHHMMSSZ; undefined when it is not one. */
export function parseDateTime(text: string): number | undefined {
  if (!dateTimeForm.test(text)) return undefined;
  const part = (from: number, to: number) => Number(text.slice(from, to));
  const [month, day, hour, minute, second] = [
    part(4, 6),
    part(6, 8),
    part(9, 11),
    part(11, 13),
    part(13, 15),
  ];
  const date = new Date(Date.UTC(part(0, 4), month - 1, day, hour, minute, second));
  const exact = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return exact && hour < 24 && minute < 60 && second < 60 ? date.getTime() : undefined;
}

/** YYYYMMDDTHHMMSSZ */
export function formatDateTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll('-', '').replaceAll(':', '')}Z`;
}

function headerMalformed(why: string): HoldfastError {
  return new HoldfastError('AuthorizationHeaderMalformed', {
    detail: `The authorization header is malformed; ${why}.`,
  });
}

function queryMalformed(why: string): HoldfastError {
  return new HoldfastError('AuthorizationQueryParametersError', { detail: `${why}.` });
}

/** The answer to any other signing method. */
function unsupported(algorithm: string, where: string): HoldfastError {
  if (algorithm === ALGORITHM_V4A) {
    return new HoldfastError('NotImplemented', {
      detail: `Signature Version 4A (${ALGORITHM_V4A}) is not implemented. Please use ${ALGORITHM}.`,
      fields: { Header: where },
    });
  }
  if (algorithm === 'AWS') {
    return new HoldfastError('InvalidRequest', {
      detail: `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`,
    });
  }
  return new HoldfastError('InvalidArgument', {
    detail: 'Unsupported Authorization Type',
    fields: { ArgumentName: where },
  });
}
