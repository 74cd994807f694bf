/**
 * One request and its answer: what the operation handler sees of it (OperationContext), and what the server needs to
 * time, log and count it. Things that most requests never ask for (signal, logger, query object) are made when asked.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { assert, defined } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import { nativeJobs } from '../base/nativejobs.ts';
import type { IncomingBody, ObjectService } from '../objects/types.ts';
import { type BodyClaims, readClaims } from './checksums.ts';
import { readDocument } from './document.ts';
import { chunkedDecoder, type Framing, readFraming } from './framing.ts';
import { RequestBody } from './incomingbody.ts';
import type { OperationContext, S3Identity } from './operation.ts';
import type { ServerParts } from './parts.ts';
import type { Route } from './routing.ts';
import type { Authentication } from './sigv4.ts';
import { Takeover } from './takeover.ts';

/** What the server waits for; deadlines.ts watches it. */
export type Phase = 'handler' | 'writing' | 'draining';

export interface Admitted {
  readonly route: Route;
  readonly authentication: Authentication;
  readonly operationName: string;
}

export class Exchange implements OperationContext {
  readonly requestId: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly startedMs: number;
  phase: Phase = 'handler';
  /** When `phase` last made progress, on the monotonic clock. */
  progressMs: number;
  bytesOut = 0;
  /** All of the answer has been handed to the socket. */
  answered = false;
  errorCode: string | undefined;
  /** An unsigned health request. */
  probe = false;
  /** The client asked to be told before it sends the body. */
  readonly #expectsContinue: boolean;
  readonly #parts: ServerParts;
  #admitted: Admitted | undefined;
  #framing: Framing | undefined;
  #body: RequestBody | undefined;
  #query: URLSearchParams | undefined;
  #abort: AbortController | undefined;
  #gone = false;
  #log: Logger | undefined;

  constructor(
    parts: ServerParts,
    requestId: string,
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ) {
    this.#parts = parts;
    this.requestId = requestId;
    this.request = request;
    this.response = response;
    this.#expectsContinue = expectsContinue;
    this.startedMs = parts.clock.monotonicMs();
    this.progressMs = this.startedMs;
  }

  admit(admitted: Admitted): void {
    this.#admitted = admitted;
    this.#framing = readFraming(this.headers);
  }

  get operationName(): string {
    return this.#admitted?.operationName ?? (this.probe ? 'Health' : 'Unknown');
  }

  get identity(): S3Identity {
    return defined(this.#admitted).authentication.credential;
  }

  get accessKeyId(): string | undefined {
    return this.#admitted?.authentication.credential.accessKeyId;
  }

  get bucket(): string {
    return defined(this.#admitted).route.bucket;
  }

  get key(): string {
    return defined(this.#admitted).route.key;
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(
      defined(this.#admitted).authentication.query as readonly [string, string][] as [string, string][],
    );
    return this.#query;
  }

  get headers(): IncomingHttpHeaders {
    return defined(this.#admitted).authentication.headers;
  }

  get objects(): ObjectService {
    return this.#parts.objects;
  }

  get region(): string {
    return this.#parts.region;
  }

  get endpoint(): string {
    const host = this.request.headers.host ?? '';
    const hostBucket = this.#parts.hosts.bucketOf(host);
    const service = hostBucket === '' ? host : host.slice(hostBucket.length + 1);
    return `${this.#parts.tls ? 'https' : 'http'}://${service}`;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#gone) this.#abort.abort(clientGone());
    return this.#abort.signal;
  }

  get log(): Logger {
    this.#log ??= this.#parts.log.child({ requestId: this.requestId, operation: this.operationName });
    return this.#log;
  }

  body(): IncomingBody {
    const framing = defined(this.#framing);
    if (framing.contentLengthBytes === undefined && !framing.transferChunked) {
      throw new HoldfastError('MissingContentLength');
    }
    return this.#openBody(readClaims(this.headers, this.#payload));
  }

  document(bytesMax: number): Promise<Buffer> {
    const ownChecksum = !checksumIsOfObject.has(this.operationName);
    const claims = readClaims(this.headers, this.#payload, ownChecksum);
    return readDocument(this.#openBody(claims), claims, bytesMax);
  }

  get #payload() {
    return defined(this.#admitted).authentication.payload;
  }

  #openBody(claims: BodyClaims): RequestBody {
    assert(!this.#body, 'the body of a request is taken once');
    const { authentication } = defined(this.#admitted);
    const framed = chunkedDecoder(this.headers, this.#payload, authentication.signing, claims);
    const { contentLengthBytes, transferChunked } = defined(this.#framing);
    const plainLengthBytes = transferChunked ? undefined : (contentLengthBytes ?? 0);
    this.#body = new RequestBody({
      request: this.request,
      claims,
      decoder: framed?.decoder,
      lengthBytes: framed ? framed.lengthBytes : plainLengthBytes,
      limits: this.#parts.limits,
      clock: this.#parts.clock,
      signal: () => this.signal,
      onStart: () => {
        if (this.#expectsContinue) this.response.writeContinue();
      },
      takeOver: transferChunked || framed ? undefined : () => this.#takeOver(),
    });
    return this.#body;
  }

  /** A connection on which another request is under way is left to node. */
  #takeOver(): Takeover | undefined {
    const jobs = nativeJobs();
    return jobs !== undefined && this.#parts.isAlone(this.request)
      ? Takeover.begin(jobs, this.request)
      : undefined;
  }

  get startedBody(): RequestBody | undefined {
    return this.#body;
  }

  get bytesIn(): number {
    return this.#body?.wireBytes ?? 0;
  }

  /** Body bytes that the client has still to send; Infinity when it did not say, 0 when all are here. */
  get unreadBytes(): number {
    if (this.request.complete) return 0;
    const { 'content-length': length, 'transfer-encoding': coding } = this.request.headers;
    if (coding !== undefined) return Number.POSITIVE_INFINITY;
    if (length === undefined) return 0;
    const waitsForContinue = this.#expectsContinue && !this.#body?.started;
    return waitsForContinue ? Number.POSITIVE_INFINITY : Number(length) - this.bytesIn;
  }

  /** The connection is gone or to be given up: ends whatever the handler waits for. */
  abandon(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#abort?.abort(clientGone());
    this.#body?.fail(clientGone());
  }
}

/** Here x-amz-checksum-* speaks of the object that is put together, not of the document. */
const checksumIsOfObject: ReadonlySet<string> = new Set(['CompleteMultipartUpload']);

function clientGone(): HoldfastError {
  return new HoldfastError('IncompleteBody', { detail: 'The client closed the connection.' });
}
