/**
 * Every bound and deadline of the S3 server, with its unit and its reason. Tests shorten them; operators may too.
 * Bounds that belong to the protocol itself (key length, skew) are constants beside the code that follows them.
 */
import { KIB, MIB, MINUTE_MS, SECOND_MS } from '../base/units.ts';

export interface S3Limits {
  /** Open connections; one more is closed at once. An idle one costs about 20 KiB. */
  readonly connectionsMax: number;
  /** Request line and headers together. AWS allows 8 KiB of headers plus a long target. */
  readonly headerBytesMax: number;
  /** From the first byte of a connection or request to the end of its headers. */
  readonly headersDeadlineMs: number;
  /** Between two requests of a connection. Longer than clients' own pools, so that they close first. */
  readonly keepAliveMs: number;
  /** Waiting for the client's next body byte. */
  readonly bodyIdleMs: number;
  /** Slowest upload borne: this many bytes in every `bodyWindowMs` spent waiting for the client. */
  readonly bodyWindowBytes: number;
  readonly bodyWindowMs: number;
  /** For the client to take the piece of a response that is under way, at most `WRITE_SLICE_BYTES`. */
  readonly writeStallMs: number;
  /** Body bytes held between socket and handler; the socket is paused above it. */
  readonly bodyBufferBytes: number;
  /** What is left of an unread body: up to this much is read and dropped, so that the connection can be kept. */
  readonly drainBytesMax: number;
  /** A longer rest is read and dropped up to this much and this long, so that the client sees the answer, and closed. */
  readonly lingerBytesMax: number;
  readonly lingerMs: number;
  /** A deferred response that is not there by then becomes a 200 with white space. */
  readonly deferredQuietMs: number;
  /** Between two white spaces of it. */
  readonly deferredBeatMs: number;
  readonly tlsHandshakeMs: number;
}

export const defaultLimits: S3Limits = {
  connectionsMax: 20_000,
  headerBytesMax: 16 * KIB,
  headersDeadlineMs: 30 * SECOND_MS,
  keepAliveMs: 75 * SECOND_MS,
  bodyIdleMs: 30 * SECOND_MS,
  bodyWindowBytes: 60 * KIB,
  bodyWindowMs: MINUTE_MS,
  writeStallMs: MINUTE_MS,
  bodyBufferBytes: 256 * KIB,
  drainBytesMax: 64 * KIB,
  lingerBytesMax: 16 * MIB,
  lingerMs: 5 * SECOND_MS,
  deferredQuietMs: 5 * SECOND_MS,
  deferredBeatMs: 10 * SECOND_MS,
  tlsHandshakeMs: 30 * SECOND_MS,
};

/** A response goes to the socket in pieces of at most this much, so that a slow reader's progress can be seen. */
export const WRITE_SLICE_BYTES = 256 * KIB;
