import { describe, expect, it } from 'vitest';
import { encodeReply, encodeRequest } from '../../src/base/resp/encode.ts';
import { ReplyParser } from '../../src/base/resp/replies.ts';
import { RequestParser } from '../../src/base/resp/requests.ts';
import { Bulk, RespFailure, RespFault, type RespValue, SimpleString } from '../../src/base/resp/values.ts';
import { Prng } from '../simulation/prng.ts';

const REQUEST_LIMITS = { argumentsMax: 1024, valueBytesMax: 100_000, requestBytesMax: 200_000 };
const REPLY_LIMITS = { valueBytesMax: 100_000, replyBytesMax: 200_000, elementsMax: 10_000 };

/** Feeds `bytes` in random pieces and returns all that was parsed. */
function feed<T>(
  parser: { push(chunk: Buffer): void; next(): T | undefined },
  bytes: Buffer,
  prng: Prng,
): T[] {
  const found: T[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = prng.below(4) === 0 ? 1 + prng.below(5) : 1 + prng.below(70_000);
    parser.push(bytes.subarray(at, at + size));
    at += size;
    for (let next = parser.next(); next !== undefined; next = parser.next()) found.push(next);
  }
  return found;
}

function plain(value: RespValue): unknown {
  if (value instanceof Bulk) return value.toBuffer().toString('hex');
  if (value instanceof SimpleString) return `+${value.text}`;
  if (value instanceof RespFailure) return `-${value.text}`;
  return Array.isArray(value) ? value.map(plain) : value;
}

describe('RESP', () => {
  it('reads requests back, however they are cut', () => {
    const prng = new Prng(7);
    for (let round = 0; round < 200; round++) {
      const requests = Array.from({ length: 1 + prng.below(5) }, () =>
        Array.from({ length: 1 + prng.below(6) }, () =>
          prng.bytes(prng.below(5) === 0 ? prng.below(30_000) : prng.below(30)),
        ),
      );
      const wire = Buffer.concat(requests.flatMap((request) => encodeRequest(request)));
      const found = feed(new RequestParser(REQUEST_LIMITS), wire, prng);
      expect(found.map((request) => request.map((argument) => argument.toBuffer()))).toEqual(requests);
    }
  });

  it('reads replies back, however they are cut', () => {
    const prng = new Prng(8);
    const random = (depth: number): RespValue => {
      switch (prng.below(depth < 3 ? 6 : 5)) {
        case 0:
          return new SimpleString('OK');
        case 1:
          return new RespFailure('Key not found');
        case 2:
          return prng.below(1_000_000) - 500_000;
        case 3:
          return null;
        case 4:
          return Bulk.of(prng.bytes(prng.below(8) === 0 ? prng.below(20_000) : prng.below(40)));
        default:
          return Array.from({ length: prng.below(5) }, () => random(depth + 1));
      }
    };
    for (let round = 0; round < 200; round++) {
      const values = Array.from({ length: 1 + prng.below(5) }, () => random(0));
      const wire = Buffer.concat(values.flatMap((value) => encodeReply(value)));
      const found = feed(new ReplyParser(REPLY_LIMITS), wire, prng);
      expect(found.map(plain)).toEqual(values.map(plain));
    }
  });

  it('names what is wrong with a request', () => {
    const cases: [string, string][] = [
      ['PING\r\n', 'Malformed request, array expected'],
      ['*1025\r\n', 'Too many arguments'],
      ['*-1\r\n', 'Malformed request, array expected'],
      ['*1\r\n+OK\r\n', 'Malformed request, bulk string expected'],
      ['*1\r\n$-1\r\n', 'Malformed request, bulk string expected'],
      ['*1\r\n$100001\r\n', 'Payload too big'],
      ['*3\r\n$80000\r\n', ''],
      ['*1\r\n$x\r\n', 'a length is not a number'],
      ['*1\r\n$99999999999999999999\r\n', 'a length is not a number'],
      ['*1\n', 'a line does not end in CR LF'],
      [`*${'1'.repeat(2000)}`, 'a line is too long'],
      ['*1\r\n$2\r\nabcd', 'a bulk string does not end in CR LF'],
    ];
    for (const [wire, message] of cases) {
      const parser = new RequestParser(REQUEST_LIMITS);
      parser.push(Buffer.from(wire));
      if (message === '') expect(parser.next()).toBeUndefined();
      else expect(() => parser.next(), wire).toThrow(new RespFault(message));
    }
  });

  it('keeps to the limits of a reply', () => {
    for (const wire of [
      '$100001\r\n',
      '*10001\r\n',
      '*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n',
      '!3\r\n',
      ':9007199254740993\r\n',
      `*3\r\n${'$90000\r\n'.padEnd(90_008, 'x')}\r\n${'$90000\r\n'.padEnd(90_008, 'x')}\r\n$90000\r\n`,
    ]) {
      const parser = new ReplyParser(REPLY_LIMITS);
      parser.push(Buffer.from(wire));
      expect(() => parser.next(), wire.slice(0, 30)).toThrow(RespFault);
    }
  });

  it('says what a request will hold before it is there', () => {
    const parser = new RequestParser(REQUEST_LIMITS);
    parser.push(Buffer.from('*2\r\n$3\r\nSET\r\n$50000\r\nabc'));
    expect(parser.next()).toBeUndefined();
    expect(parser.announcedBytes).toBe(50_003);
    expect(parser.isInside).toBe(true);
  });
});
