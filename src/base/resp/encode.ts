/**
 * Encoding of requests and replies into pieces for one `writev`: what is small is copied together, what is large is passed as it is and
 * must not change until it is sent.
 */
import { Bulk, RespFailure, type RespValue, SimpleString } from './values.ts';

/** Copying less than this costs less than one more piece. */
const COPIED_BYTES_MAX = 2048;

class Pieces {
  readonly list: Uint8Array[] = [];
  #small: Uint8Array[] = [];
  #smallBytes = 0;

  text(text: string): void {
    this.bytes(Buffer.from(text, 'latin1'));
  }

  bytes(bytes: Uint8Array): void {
    if (bytes.length > COPIED_BYTES_MAX) {
      this.#flush();
      this.list.push(bytes);
    } else {
      this.#small.push(bytes);
      this.#smallBytes += bytes.length;
    }
  }

  end(): Uint8Array[] {
    this.#flush();
    return this.list;
  }

  #flush(): void {
    if (this.#small.length === 0) return;
    this.list.push(this.#small.length === 1 ? this.#small[0]! : Buffer.concat(this.#small, this.#smallBytes));
    this.#small = [];
    this.#smallBytes = 0;
  }
}

/** An argument of a request: text (Latin-1), bytes, or bytes in pieces. */
export type Argument = string | number | Uint8Array | readonly Uint8Array[];

export function encodeRequest(request: readonly Argument[]): Uint8Array[] {
  const out = new Pieces();
  out.text(`*${request.length}\r\n`);
  for (const argument of request) {
    if (typeof argument === 'string' || typeof argument === 'number') {
      const text = String(argument);
      out.text(`$${text.length}\r\n${text}\r\n`);
    } else {
      const pieces = argument instanceof Uint8Array ? [argument] : argument;
      out.text(`$${pieces.reduce((sum, piece) => sum + piece.length, 0)}\r\n`);
      for (const piece of pieces) out.bytes(piece);
      out.text('\r\n');
    }
  }
  return out.end();
}

export function encodeReply(value: RespValue): Uint8Array[] {
  const out = new Pieces();
  put(out, value);
  return out.end();
}

function put(out: Pieces, value: RespValue): void {
  if (value === null) out.text('$-1\r\n');
  else if (typeof value === 'number') out.text(`:${value}\r\n`);
  else if (value instanceof SimpleString) out.text(`+${oneLine(value.text)}\r\n`);
  else if (value instanceof RespFailure) out.text(`-${oneLine(value.text)}\r\n`);
  else if (value instanceof Bulk) {
    out.text(`$${value.length}\r\n`);
    for (const piece of value.pieces) out.bytes(piece);
    out.text('\r\n');
  } else {
    out.text(`*${value.length}\r\n`);
    for (const element of value) put(out, element);
  }
}

/** A line cannot hold line ends; texts may quote what a client sent. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').slice(0, 512);
}
