/**
 * What one S3 operation is: a row of the operation table. The server (server.ts) has routed, authenticated and framed the
 * request before a handler sees it; a handler turns it into one call on `objects` and says what to answer.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Logger } from 'pino';
import type { IncomingBody, ObjectBody, ObjectService } from '../objects/types.ts';

export interface S3Identity {
  readonly accessKeyId: string;
  /** Canonical user id, 64 hex digits: the owner in listings and ACLs. */
  readonly ownerId: string;
  readonly displayName: string;
}

export interface OperationContext {
  readonly requestId: string;
  readonly identity: S3Identity;
  /** Empty when the operation is on the service. */
  readonly bucket: string;
  /** Decoded; empty when the operation is on a bucket. */
  readonly key: string;
  /** Decoded query without the parameters of presigning. */
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly objects: ObjectService;
  /** Region that this server answers for LocationConstraint. */
  readonly region: string;
  /** `http://host[:port]` as the client sees it, for Location elements. */
  readonly endpoint: string;
  /** Aborts when the client goes away or the server stops. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** The object body, decoded from whatever framing it came in. Call at most once. */
  body(): IncomingBody;
  /**
   * The whole body, for XML documents: at most `bytesMax`, else MaxMessageLengthExceeded; signature, Content-MD5 and
   * x-amz-checksum verified.
   */
  document(bytesMax: number): Promise<Buffer>;
}

export interface OperationResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** XML text, or an object to stream. Absent: no body. HEAD never sends one. */
  readonly body?: string | ObjectBody;
  /**
   * For operations that take longer than clients wait in silence (CompleteMultipartUpload, CopyObject): the server sends
   * white space until this resolves, then the document, which may be an error. With it, `status` is 200.
   */
  readonly deferred?: Promise<string>;
}

export interface Operation {
  /** AWS's name, for example `ListObjectsV2`: in logs, metrics and NotImplemented messages. */
  readonly name: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly level: 'service' | 'bucket' | 'object';
  /** Query parameters that select this operation, with a fixed value where one is needed (`list-type` = `2`). */
  readonly selectors: Readonly<Record<string, string | true>>;
  /** A header whose presence selects it (`x-amz-copy-source`). */
  readonly selectingHeader?: string;
  /** Further query parameters that it understands. Any other one is refused with NotImplemented. */
  readonly parameters: readonly string[];
  /**
   * Headers with a meaning (x-amz-*, x-holdfast-*, if-*, range, content-*…) that it understands. Any other of the first two
   * is refused with NotImplemented; those every request may carry are in server.ts.
   */
  readonly headers: readonly string[];
  readonly handle: (context: OperationContext) => Promise<OperationResponse>;
}
