/**
 * A SigV4 signer for tests and bench, written apart from src/s3 so that the two check each other: header, presigned and
 * streaming (aws-chunked) signatures, per docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html.
 */
import { createHash, createHmac } from 'node:crypto';

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface Unsigned {
  readonly method: string;
  /** Encoded path, as it goes on the wire. */
  readonly path: string;
  /** Decoded pairs. */
  readonly query?: readonly (readonly [string, string])[];
  /** Must have `host`. Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Value of x-amz-content-sha256; default UNSIGNED-PAYLOAD. */
  readonly payloadHash?: string;
}

export interface SignOptions {
  readonly keys: Keys;
  /** YYYYMMDDTHHMMSSZ */
  readonly dateTime: string;
  readonly region?: string;
  readonly expiresSeconds?: number;
}

export interface Signed {
  readonly signature: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Record<string, string>;
  readonly canonical: string;
  readonly scope: string;
  readonly signingKey: Buffer;
}

export const sha256Hex = (data: string | Uint8Array): string =>
  createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();

export function amzDate(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

export function encode(text: string): string {
  let out = '';
  for (const byte of Buffer.from(text)) {
    const char = String.fromCharCode(byte);
    out += /[A-Za-z0-9\-._~]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

export const encodePath = (path: string): string => path.split('/').map(encode).join('/');

function canonicalQuery(query: readonly (readonly [string, string])[]): string {
  return query
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort((a, b) => Buffer.compare(Buffer.from(`${a[0]} ${a[1]}`), Buffer.from(`${b[0]} ${b[1]}`)))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function finish(
  request: Unsigned,
  options: SignOptions,
  headers: Record<string, string>,
  query: readonly (readonly [string, string])[],
) {
  const { keys, dateTime, region = 'us-east-1' } = options;
  const date = dateTime.slice(0, 8);
  const scope = `${date}/${region}/s3/aws4_request`;
  const names = Object.keys(headers).sort();
  const lines = names
    .map((name) => `${name}:${(headers[name] ?? '').trim().replace(/\s+/g, ' ')}\n`)
    .join('');
  const payloadHash = request.payloadHash ?? 'UNSIGNED-PAYLOAD';
  const canonical = [
    request.method,
    encodePath(decodeURIComponent(request.path)),
    canonicalQuery(query),
    lines,
    names.join(';'),
    payloadHash,
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', dateTime, scope, sha256Hex(Buffer.from(canonical, 'latin1'))].join(
    '\n',
  );
  const signingKey = hmac(
    hmac(hmac(hmac(`AWS4${keys.secretAccessKey}`, date), region), 's3'),
    'aws4_request',
  );
  return { canonical, scope, signingKey, names, signature: hmac(signingKey, toSign).toString('hex') };
}

const target = (path: string, query: readonly (readonly [string, string])[]) =>
  query.length === 0 ? path : `${path}?${query.map(([n, v]) => `${encode(n)}=${encode(v)}`).join('&')}`;

/** Signs every header given. Adds x-amz-date, x-amz-content-sha256 and authorization. */
export function signHeader(request: Unsigned, options: SignOptions): Signed {
  const headers: Record<string, string> = {
    ...request.headers,
    'x-amz-date': options.dateTime,
    'x-amz-content-sha256': request.payloadHash ?? 'UNSIGNED-PAYLOAD',
  };
  const query = request.query ?? [];
  const done = finish(request, options, headers, query);
  const authorization = `AWS4-HMAC-SHA256 Credential=${options.keys.accessKeyId}/${done.scope}, SignedHeaders=${done.names.join(';')}, Signature=${done.signature}`;
  return { ...done, target: target(request.path, query), headers: { ...headers, authorization } };
}

/** Signs every header given; the signature goes into the query. */
export function presign(request: Unsigned, options: SignOptions): Signed {
  const { keys, dateTime, region = 'us-east-1', expiresSeconds = 3600 } = options;
  const query: (readonly [string, string])[] = [
    ...(request.query ?? []),
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${keys.accessKeyId}/${dateTime.slice(0, 8)}/${region}/s3/aws4_request`],
    ['X-Amz-Date', dateTime],
    ['X-Amz-Expires', String(expiresSeconds)],
    ['X-Amz-SignedHeaders', Object.keys(request.headers).sort().join(';')],
  ];
  const headers = { ...request.headers };
  const done = finish(request, options, headers, query);
  return {
    ...done,
    headers,
    target: target(request.path, [...query, ['X-Amz-Signature', done.signature]]),
  };
}

export interface ChunkOptions {
  readonly chunkBytes: number;
  readonly signed: boolean;
  readonly trailer?: readonly (readonly [string, string])[];
}

/** aws-chunked framing of `data`, chained to the signature of the request that `seed` is. */
export function frame(
  data: Uint8Array,
  options: ChunkOptions,
  seed: Pick<Signed, 'signature' | 'scope' | 'signingKey'>,
  dateTime: string,
): Buffer {
  let previous = seed.signature;
  const out: (string | Uint8Array)[] = [];
  const sign = (kind: string, parts: string[]) => {
    const text = [`AWS4-HMAC-SHA256-${kind}`, dateTime, seed.scope, previous, ...parts].join('\n');
    previous = hmac(seed.signingKey, text).toString('hex');
    return previous;
  };
  const header = (chunk: Uint8Array) => {
    const size = chunk.length.toString(16);
    if (!options.signed) return `${size}\r\n`;
    return `${size};chunk-signature=${sign('PAYLOAD', [sha256Hex(''), sha256Hex(chunk)])}\r\n`;
  };
  for (let at = 0; at < data.length; at += options.chunkBytes) {
    const chunk = data.subarray(at, at + options.chunkBytes);
    out.push(header(chunk), chunk, '\r\n');
  }
  out.push(header(new Uint8Array(0)));
  if (options.trailer) {
    for (const [name, value] of options.trailer) out.push(`${name}:${value}\r\n`);
    const canonical = options.trailer.map(([name, value]) => `${name}:${value}\n`).join('');
    if (options.signed) out.push(`x-amz-trailer-signature:${sign('TRAILER', [sha256Hex(canonical)])}\r\n`);
  }
  out.push('\r\n');
  return Buffer.concat(out.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)));
}
