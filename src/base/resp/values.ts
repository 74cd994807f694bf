/**
 * RESP2 (redis.io/docs/latest/develop/reference/protocol-spec), as 0-db speaks it: requests are arrays of bulk strings, replies are any
 * value. Bulk strings stay in the pieces in which they came, so that a fragment is not copied on its way to the disk.
 */

/** The bytes of one bulk string. */
export class Bulk {
  readonly pieces: readonly Buffer[];
  readonly length: number;

  constructor(pieces: readonly Buffer[], length: number) {
    this.pieces = pieces;
    this.length = length;
  }

  static of(bytes: Buffer): Bulk {
    return new Bulk([bytes], bytes.length);
  }

  /** In one piece; copies only when there are several. */
  toBuffer(): Buffer {
    return this.pieces.length === 1 ? this.pieces[0]! : Buffer.concat(this.pieces, this.length);
  }

  /** Latin-1, so that any byte has a character. */
  toString(): string {
    return this.toBuffer().toString('latin1');
  }
}

/** `+text` */
export class SimpleString {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** `-text`: an answer like any other; nothing throws it. */
export class RespFailure {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type RespValue = SimpleString | RespFailure | number | Bulk | null | readonly RespValue[];

/** What came does not follow the protocol, or exceeds a limit: nothing behind it can be understood. */
export class RespFault extends Error {
  override readonly name = 'RespFault';
}
