/**
 * Cuts a byte stream that comes in chunks into lines and counted bytes. Holds views of the chunks it was given, never a copy; a line
 * that straddles chunks is the exception, and it is short.
 */
import { Bulk, RespFault } from './values.ts';

const CR = 0x0d;
const LF = 0x0a;
/** Longest line: an error text. Lengths and counts are far shorter. */
const LINE_BYTES_MAX = 1024;
const COUNT_DIGITS_MAX = 16;
const NONE = Buffer.alloc(0);

export class Scanner {
  #chunk: Buffer = NONE;
  #at = 0;
  /** Of a line that began in an earlier chunk. */
  #partial = '';
  /** Of a bulk string that began in an earlier chunk. */
  #pieces: Buffer[] = [];
  #collected = 0;

  /** The next bytes; what came before must have been used up, that is, a method has returned undefined. */
  push(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Bytes of the last chunk that were not looked at yet. */
  get rest(): number {
    return this.#chunk.length - this.#at;
  }

  /** The next byte, left where it is; -1 when there is none yet. */
  peek(): number {
    return this.#at < this.#chunk.length ? this.#chunk[this.#at]! : -1;
  }

  /** The line before the next CRLF, which is skipped; undefined while it is not there. @throws RespFault when it gets too long */
  line(): string | undefined {
    const end = this.#chunk.indexOf(LF, this.#at);
    const to = end < 0 ? this.#chunk.length : end + 1;
    if (this.#partial.length + to - this.#at > LINE_BYTES_MAX) throw new RespFault('a line is too long');
    this.#partial += this.#chunk.toString('latin1', this.#at, to);
    this.#at = to;
    if (end < 0) return undefined;
    const line = this.#partial;
    this.#partial = '';
    if (line.charCodeAt(line.length - 2) !== CR) throw new RespFault('a line does not end in CR LF');
    return line.slice(0, -2);
  }

  /** `length` bytes and the CRLF behind them, which is skipped; undefined while they are not all there. */
  bulk(length: number): Bulk | undefined {
    const wanted = length + 2 - this.#collected;
    const piece = this.#chunk.subarray(this.#at, this.#at + wanted);
    this.#at += piece.length;
    if (piece.length > 0) this.#pieces.push(piece);
    this.#collected += piece.length;
    if (piece.length < wanted) return undefined;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#collected = 0;
    return withoutEnding(pieces, length);
  }
}

/** Takes CR LF, which may straddle two pieces, off the end. */
function withoutEnding(pieces: Buffer[], length: number): Bulk {
  let ending = '';
  while (ending.length < 2) {
    const last = pieces.pop()!;
    const from = Math.max(0, last.length - (2 - ending.length));
    ending = last.toString('latin1', from) + ending;
    if (from > 0) pieces.push(last.subarray(0, from));
  }
  if (ending !== '\r\n') throw new RespFault('a bulk string does not end in CR LF');
  return pieces.length === 0 ? Bulk.of(NONE) : new Bulk(pieces, length);
}

/** A count or length behind its type byte; -1 stands for null. @throws RespFault when it is none */
export function parseCount(line: string): number {
  const digits = line.slice(1);
  if (digits === '-1') return -1;
  if (digits.length === 0 || digits.length > COUNT_DIGITS_MAX || !/^\d+$/.test(digits)) {
    throw new RespFault('a length is not a number');
  }
  return Number(digits);
}
