/** Replies as they come in at a client: any RESP2 value, within limits, from servers that need not be honest. */
import { parseCount, Scanner } from './scanner.ts';
import { RespFailure, RespFault, type RespValue, SimpleString } from './values.ts';

const DEPTH_MAX = 4;

export interface ReplyLimits {
  /** Of one bulk string. */
  readonly valueBytesMax: number;
  /** Of all bulk strings of a reply. */
  readonly replyBytesMax: number;
  /** Of all arrays of a reply. */
  readonly elementsMax: number;
}

interface OpenArray {
  readonly values: RespValue[];
  missing: number;
}

export class ReplyParser {
  readonly #limits: ReplyLimits;
  readonly #scanner = new Scanner();
  readonly #open: OpenArray[] = [];
  #length = -1;
  #bytes = 0;
  #elements = 0;

  constructor(limits: ReplyLimits) {
    this.#limits = limits;
  }

  /** Takes the next bytes. `next` must have returned undefined before. */
  push(chunk: Buffer): void {
    this.#scanner.push(chunk);
  }

  /** The next whole reply; undefined when more bytes are needed (null is a reply). @throws RespFault; nothing can follow it */
  next(): RespValue | undefined {
    for (;;) {
      const value = this.#value();
      if (value === undefined) return undefined;
      const whole = this.#close(value);
      if (whole === undefined) continue;
      this.#bytes = 0;
      this.#elements = 0;
      return whole;
    }
  }

  /** The next value that is no array with elements; such arrays are opened on the way. */
  #value(): RespValue | undefined {
    for (;;) {
      if (this.#length >= 0) {
        const bulk = this.#scanner.bulk(this.#length);
        if (bulk !== undefined) this.#length = -1;
        return bulk;
      }
      const line = this.#scanner.line();
      if (line === undefined) return undefined;
      if (line[0] === '+') return new SimpleString(line.slice(1));
      if (line[0] === '-') return new RespFailure(line.slice(1));
      if (line[0] === ':') return integer(line);
      const count = parseCount(line);
      if (line[0] === '$') {
        if (count < 0) return null;
        this.#announce(count);
      } else if (line[0] === '*') {
        if (count < 0) return null;
        if (count === 0) return [];
        this.#enter(count);
      } else throw new RespFault('a reply begins with an unknown type');
    }
  }

  #announce(length: number): void {
    this.#bytes += length;
    if (length > this.#limits.valueBytesMax || this.#bytes > this.#limits.replyBytesMax) {
      throw new RespFault('a reply is too long');
    }
    this.#length = length;
  }

  #enter(count: number): void {
    this.#elements += count;
    if (this.#open.length >= DEPTH_MAX || this.#elements > this.#limits.elementsMax) {
      throw new RespFault('a reply has too many elements');
    }
    this.#open.push({ values: [], missing: count });
  }

  /** Puts a value into the innermost open array; the outermost value when that completes it. */
  #close(value: RespValue): RespValue | undefined {
    let whole = value;
    for (let array = this.#open.at(-1); array !== undefined; array = this.#open.at(-1)) {
      array.values.push(whole);
      array.missing -= 1;
      if (array.missing > 0) return undefined;
      this.#open.pop();
      whole = array.values;
    }
    return whole;
  }
}

function integer(line: string): number {
  const value = Number(line.slice(1));
  if (!/^-?\d{1,16}$/.test(line.slice(1)) || !Number.isSafeInteger(value)) {
    throw new RespFault('an integer is not a number');
  }
  return value;
}
