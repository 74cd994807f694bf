/**
 * Signature Version 4 for S3: who sent a request, and that nobody changed it since
 * (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html). Header and presigned form; any region.
 *
 * Order: form, then time, then signature. Signatures are compared in constant time, and a request with an unknown access
 * key costs the same work as one with a known key. `host` and every x-amz-* and x-holdfast-* header sent must be signed. Session
 * tokens are refused: this server gives out none. Presigned URLs of version 2 go the same way, see sigv2.ts.
 */
import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { MINUTE_MS, SECOND_MS } from '../base/units.ts';
import {
  type Claim,
  formatDateTime,
  parseAuthorization,
  parseDateTime,
  parsePresigned,
  presigningParameters,
  queryAuthentication,
  type Scope,
} from './authorization.ts';
import { canonicalRequest, type SignableRequest, stringToSign } from './canonical.ts';
import { isPresignPlaceholder } from './checksums.ts';
import type { ChunkSigning } from './chunked.ts';
import { type PayloadForm, payloadForm, UNSIGNED_PAYLOAD } from './payload.ts';
import { isServiceHeader } from './serviceheaders.ts';
import { hmacSha256, SigningKeys } from './signingkeys.ts';
import {
  parsePresignedV2,
  presigningParametersV2,
  signatureV2,
  signedHeadersV2,
  stringToSignV2,
} from './sigv2.ts';
import type { QueryPair } from './target.ts';

/** AWS's bound on the difference between the client's clock and ours. */
export const SKEW_MS_MAX = 15 * MINUTE_MS;

export interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Canonical user id, 64 hex digits. */
  readonly ownerId: string;
  readonly displayName: string;
}

export interface CredentialStore {
  find(accessKeyId: string): Credential | undefined;
}

export interface Authentication {
  readonly credential: Credential;
  readonly payload: PayloadForm;
  /** For the chunk signatures of a streaming payload; absent where there can be none. */
  readonly signing: ChunkSigning | undefined;
  /** Headers with those that a presigned URL carries in its query. */
  readonly headers: IncomingHttpHeaders;
  /** Query without what belongs to presigning. */
  readonly query: readonly QueryPair[];
}

/** Takes the place of an unknown key's secret, so that refusing costs what accepting costs. */
const NOBODYS_SECRET = 'no access key has this secret';

export class Authenticator {
  readonly #credentials: CredentialStore;
  readonly #clock: Clock;
  readonly #keys = new SigningKeys();

  constructor(credentials: CredentialStore, clock: Clock) {
    this.#credentials = credentials;
    this.#clock = clock;
  }

  /** @throws HoldfastError with S3's code for whatever is wrong; AccessDenied for anonymous requests */
  authenticate(request: SignableRequest): Authentication {
    const header = request.headers.authorization;
    const inQuery = queryAuthentication(request.query);
    if (header !== undefined && inQuery !== undefined) {
      throw new HoldfastError('InvalidArgument', {
        detail:
          'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
        fields: { ArgumentName: 'Authorization' },
      });
    }
    if (header !== undefined) return this.#byHeader(request, header);
    if (inQuery === 'v4') return this.#presigned(request);
    if (inQuery === 'v2') return this.#presignedV2(request);
    throw new HoldfastError('AccessDenied');
  }

  #byHeader(request: SignableRequest, authorization: string): Authentication {
    const { headers } = request;
    const claim = parseAuthorization(authorization);
    refuseSessionToken(headers['x-amz-security-token']);
    const dateTime = this.#requestTime(headers, claim.scope);
    const contentSha256 = headers['x-amz-content-sha256'];
    if (typeof contentSha256 !== 'string') {
      throw new HoldfastError('InvalidRequest', {
        detail: 'Missing required header for this request: x-amz-content-sha256',
      });
    }
    const payload = payloadForm(contentSha256);
    requireSigned(headers, claim.signedHeaders);
    return {
      ...this.#verify(request, claim, dateTime, payload.name),
      payload,
      headers,
      query: request.query,
    };
  }

  #presigned(request: SignableRequest): Authentication {
    const claim = parsePresigned(request.query);
    this.#checkExpiry(claim.dateTime, claim.expiresSeconds);
    requireSigned(request.headers, claim.signedHeaders);
    const { headers, query } = takeHoisted(request, presigningParameters);
    refuseSessionToken(headers['x-amz-security-token']);
    const contentSha256 = headers['x-amz-content-sha256'];
    const payload = payloadForm(typeof contentSha256 === 'string' ? contentSha256 : UNSIGNED_PAYLOAD);
    return { ...this.#verify(request, claim, claim.dateTime, payload.name), payload, headers, query };
  }

  #presignedV2(request: SignableRequest): Authentication {
    const claim = parsePresignedV2(request.query);
    const expiresMs = Number(claim.expires) * SECOND_MS;
    const nowMs = this.#clock.nowMs();
    if (nowMs > expiresMs) throw expired(expiresMs, nowMs, {});
    requireSigned(request.headers, signedHeadersV2(request.headers));
    const { headers, query } = takeHoisted(request, presigningParametersV2);
    refuseSessionToken(headers['x-amz-security-token']);
    const contentSha256 = headers['x-amz-content-sha256'];
    const payload = payloadForm(typeof contentSha256 === 'string' ? contentSha256 : UNSIGNED_PAYLOAD);
    if (payload.framed) {
      throw new HoldfastError('InvalidRequest', { detail: 'A streaming payload needs Signature Version 4.' });
    }
    const { accessKeyId, signature } = claim;
    const credential = this.#credentials.find(accessKeyId);
    const toSign = stringToSignV2(request, claim.expires);
    const right = signatureV2(credential?.secretAccessKey ?? NOBODYS_SECRET, toSign);
    const equal = signature.length === right.length && timingSafeEqual(signature, right);
    if (!credential)
      throw new HoldfastError('InvalidAccessKeyId', { fields: { AWSAccessKeyId: accessKeyId } });
    if (!equal) {
      throw new HoldfastError('SignatureDoesNotMatch', {
        fields: {
          AWSAccessKeyId: accessKeyId,
          StringToSign: toSign,
          SignatureProvided: signature.toString('base64'),
        },
      });
    }
    return { credential, payload, signing: undefined, headers, query };
  }

  #verify(request: SignableRequest, claim: Claim, dateTime: string, payloadHash: string) {
    const { scope, signature } = claim;
    const credential = this.#credentials.find(scope.accessKeyId);
    const secret = credential?.secretAccessKey ?? NOBODYS_SECRET;
    const key = this.#keys.get(scope.accessKeyId, secret, scope.date, scope.region);
    const canonical = canonicalRequest(request, claim.signedHeaders, payloadHash);
    const toSign = stringToSign(dateTime, scope.text, canonical);
    const equal = timingSafeEqual(hmacSha256(key, toSign), Buffer.from(signature, 'hex'));
    if (!credential) {
      throw new HoldfastError('InvalidAccessKeyId', { fields: { AWSAccessKeyId: scope.accessKeyId } });
    }
    if (!equal) {
      throw new HoldfastError('SignatureDoesNotMatch', {
        fields: {
          AWSAccessKeyId: scope.accessKeyId,
          StringToSign: toSign,
          SignatureProvided: signature,
          CanonicalRequest: canonical,
        },
      });
    }
    this.#keys.keep(scope.accessKeyId, secret, scope.date, scope.region, key);
    const signing: ChunkSigning = { key, dateTime, scope: scope.text, seedSignature: signature };
    return { credential, signing };
  }

  /** YYYYMMDDTHHMMSSZ of x-amz-date, or of Date where that is absent; within the allowed skew. */
  #requestTime(headers: IncomingHttpHeaders, scope: Scope): string {
    const amzDate = headers['x-amz-date'];
    const text = typeof amzDate === 'string' ? amzDate : headers.date;
    const isoMs = text === undefined ? undefined : parseDateTime(text);
    const requestMs = isoMs ?? parseHttpDate(text, amzDate);
    if (requestMs === undefined) {
      throw new HoldfastError('AccessDenied', {
        detail: 'AWS authentication requires a valid Date or x-amz-date header',
      });
    }
    const nowMs = this.#clock.nowMs();
    if (Math.abs(nowMs - requestMs) > SKEW_MS_MAX) {
      throw new HoldfastError('RequestTimeTooSkewed', {
        fields: {
          RequestTime: text ?? '',
          ServerTime: new Date(nowMs).toISOString(),
          MaxAllowedSkewMilliseconds: String(SKEW_MS_MAX),
        },
      });
    }
    const dateTime = isoMs !== undefined && text !== undefined ? text : formatDateTime(requestMs);
    if (!dateTime.startsWith(scope.date)) {
      throw new HoldfastError('AuthorizationHeaderMalformed', {
        detail: `The authorization header is malformed; Invalid credential date "${scope.date}". This date is not the same as X-Amz-Date: "${dateTime.slice(0, 8)}".`,
      });
    }
    return dateTime;
  }

  #checkExpiry(dateTime: string, expiresSeconds: number): void {
    const signedMs = parseDateTime(dateTime) ?? 0;
    const expiresMs = signedMs + expiresSeconds * SECOND_MS;
    const nowMs = this.#clock.nowMs();
    const early = signedMs - nowMs > SKEW_MS_MAX;
    if (!early && nowMs <= expiresMs) return;
    const fields = { 'X-Amz-Expires': String(expiresSeconds) };
    throw expired(expiresMs, nowMs, fields, early ? 'Request is not yet valid' : undefined);
  }
}

function expired(
  expiresMs: number,
  nowMs: number,
  fields: Readonly<Record<string, string>>,
  detail = 'Request has expired',
): HoldfastError {
  const [Expires, ServerTime] = [new Date(expiresMs).toISOString(), new Date(nowMs).toISOString()];
  return new HoldfastError('AccessDenied', { detail, fields: { ...fields, Expires, ServerTime } });
}

/** RFC 9110 section 5.6.7; only for the Date header. */
function parseHttpDate(text: string | undefined, amzDate: unknown): number | undefined {
  if (amzDate !== undefined || text === undefined) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

function refuseSessionToken(token: unknown): void {
  if (token === undefined) return;
  throw new HoldfastError('InvalidToken', {
    detail: 'This server gives out no session tokens; x-amz-security-token is not accepted.',
  });
}

function requireSigned(headers: IncomingHttpHeaders, signedHeaders: readonly string[]): void {
  let unsigned = signedHeaders.includes('host') ? '' : 'host';
  for (const name in headers) {
    if (!isServiceHeader(name)) continue;
    if (!signedHeaders.includes(name)) unsigned += unsigned === '' ? name : `, ${name}`;
  }
  if (unsigned === '') return;
  throw new HoldfastError('AccessDenied', {
    detail: 'There were headers present in the request which were not signed',
    fields: { HeadersNotSigned: unsigned },
  });
}

/**
 * Presigners move x-amz-* headers into the query, where the signature covers them; S3 takes them as headers. One that
 * stands in both places with different values is refused.
 */
function takeHoisted(
  request: SignableRequest,
  presigningParameters: ReadonlySet<string>,
): Pick<Authentication, 'headers' | 'query'> {
  const query: QueryPair[] = [];
  const hoisted: Record<string, string> = {};
  for (const [name, value] of request.query) {
    if (presigningParameters.has(name)) continue;
    const header = name.toLowerCase();
    if (!header.startsWith('x-amz-')) {
      query.push([name, value]);
      continue;
    }
    if ((hoisted[header] ?? value) !== value || (request.headers[header] ?? value) !== value) {
      throw new HoldfastError('InvalidRequest', {
        detail: `${name} is given more than once with different values.`,
      });
    }
    if (!isPresignPlaceholder(header, value)) hoisted[header] = value;
  }
  return { headers: { ...request.headers, ...hoisted }, query };
}
