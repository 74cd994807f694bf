/** What stands between a connection and the commands. */
import type { Bulk, RespValue } from '../../base/resp/values.ts';

/** Who is at the other end, as far as the transport knows. */
export interface Peer {
  readonly transport: 'plain' | 'tls';
  /** For logs: address and port. */
  readonly address: string;
  /** SHA-384 of the public key that a TLS peer has proven to hold; undefined on a plain connection. */
  readonly fingerprint: Buffer | undefined;
}

/** A reply after which the connection is closed. */
export class LastReply {
  readonly value: RespValue | undefined;

  constructor(value: RespValue | undefined) {
    this.value = value;
  }
}

/** A reply that is sent whenever it is there, behind or before those of other requests. Never rejects. */
export class Concurrent {
  readonly reply: Promise<RespValue>;

  constructor(reply: Promise<RespValue>) {
    this.reply = reply;
  }
}

export type Answer = RespValue | LastReply | Concurrent;

/** The commands of one connection and what they remember: selected namespace, rights, nonce. */
export interface Session {
  /**
   * Answers one request. The next one is handed in when this has resolved; what may run beside others comes back at once as
   * `Concurrent`. A rejection ends the connection and is logged.
   */
  handle(request: readonly Bulk[]): Answer | Promise<Answer>;
  /** The connection is closed after this long, whatever it does; absent: it may stay. */
  readonly lifetimeMs?: number;
  /** The connection is gone. */
  close(): void;
}

/** Undefined for a peer that is not served: its connection is closed without a word. */
export type OpenSession = (peer: Peer) => Session | undefined;
