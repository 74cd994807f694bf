/**
 * From a raw request to an operation with a known sender: target, host, signature, operation table, and what every
 * operation has in common. Nothing of the body has been read by then.
 */
import type { IncomingMessage } from 'node:http';
import { HoldfastError } from '../base/errors.ts';
import type { Admitted } from './exchange.ts';
import type { Operation } from './operation.ts';
import type { ServerParts } from './parts.ts';
import { route } from './routing.ts';
import { parseTarget } from './target.ts';

/** Node keeps only the first of these when they are repeated, so a repeated one could be read in two ways. */
const singular: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-length',
  'content-type',
  'if-modified-since',
  'if-unmodified-since',
]);

export interface Admission extends Admitted {
  readonly operation: Operation;
}

/** @throws HoldfastError: InvalidURI, KeyTooLongError, the signature's codes, NotImplemented, MethodNotAllowed … */
export function admit(parts: ServerParts, request: IncomingMessage): Admission {
  const { rawHeaders, method = '' } = request;
  if (rawHeaders.length !== Object.keys(request.headers).length * 2) refuseRepeated(rawHeaders);
  const host = request.headers.host;
  if (host === undefined) throw new HoldfastError('BadRequest', { detail: 'The Host header is missing.' });
  const { path, rawPath, query } = parseTarget(request.url ?? '');
  const hostBucket = parts.hosts.bucketOf(host);
  const place = route(path, hostBucket);
  if (method === 'POST' && isPostForm(request)) {
    throw new HoldfastError('NotImplemented', { detail: 'POST Object (browser forms) is not implemented.' });
  }
  const authentication = parts.authenticator.authenticate({
    method,
    path,
    resource: hostBucket === '' ? rawPath : `/${hostBucket}${rawPath}`,
    query,
    headers: request.headers,
    rawHeaders,
  });
  const { headers } = authentication;
  const operation = parts.table.find(method, place, authentication.query, headers);
  checkOwner(headers['x-amz-expected-bucket-owner'], authentication.credential.ownerId);
  checkOwner(headers['x-amz-source-expected-bucket-owner'], authentication.credential.ownerId);
  return { route: place, authentication, operation, operationName: operation.name };
}

function refuseRepeated(rawHeaders: readonly string[]): void {
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    if (!singular.has(name)) continue;
    if (seen.has(name)) {
      throw new HoldfastError('BadRequest', { detail: `The header ${name} is given twice.` });
    }
    seen.add(name);
  }
}

/** Browser-based uploads sign a policy in the form instead of the request. */
function isPostForm(request: IncomingMessage): boolean {
  const { authorization, 'content-type': type } = request.headers;
  return authorization === undefined && (type ?? '').startsWith('multipart/form-data');
}

/** Every bucket belongs to the one account there is. */
function checkOwner(expected: string | string[] | undefined, ownerId: string): void {
  if (expected === undefined || expected === ownerId) return;
  throw new HoldfastError('AccessDenied', { detail: 'The bucket does not belong to the expected owner.' });
}
