/** aws-chunked: AWS's published streams, what clients really send, and random splits and mutations. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { ChunkedDecoder, TRAILER_BYTES_MAX } from '../../src/s3/chunked.ts';
import { payloadForm } from '../../src/s3/payload.ts';
import { deriveSigningKey } from '../../src/s3/signingkeys.ts';
import { type ChunkOptions, frame } from './signer.ts';

const SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
const SIGNED_TRAILER = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER';
const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
const key = deriveSigningKey('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', '20130524', 'us-east-1');
const dateTime = '20130524T000000Z';
const scope = '20130524/us-east-1/s3/aws4_request';
const seed = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9';
const CRC = 'x-amz-checksum-crc32c';

interface Stream {
  readonly form: string;
  readonly lengthBytes: number;
  readonly trailers?: readonly string[];
  readonly seedSignature?: string;
}

function decode(stream: Stream, pieces: readonly Buffer[]) {
  const decoder = new ChunkedDecoder({
    form: payloadForm(stream.form),
    signing: { key, dateTime, scope, seedSignature: stream.seedSignature ?? seed },
    decodedLengthBytes: stream.lengthBytes,
    announcedTrailers: stream.trailers ?? [],
  });
  const out: Buffer[] = [];
  for (const piece of pieces) decoder.push(piece, (data) => out.push(data));
  decoder.finish();
  return { data: Buffer.concat(out), trailers: Object.fromEntries(decoder.trailers) };
}

function codeOf(stream: Stream, body: Buffer | string): string {
  try {
    decode(stream, [Buffer.from(body)]);
    return 'accepted';
  } catch (error) {
    if (error instanceof HoldfastError) return error.code;
    throw error;
  }
}

const framed = (data: Uint8Array, options: ChunkOptions) =>
  frame(data, options, { signature: seed, scope, signingKey: key.export() }, dateTime);

function splitEvery(body: Buffer, bytes: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; at += bytes) pieces.push(body.subarray(at, at + bytes));
  return pieces;
}

const exampleData = Buffer.alloc(66_560, 'a');
const exampleBody = (first: string, second: string, last: string, end: string) =>
  Buffer.concat([
    Buffer.from(`10000;chunk-signature=${first}\r\n`),
    exampleData.subarray(0, 65_536),
    Buffer.from(`\r\n400;chunk-signature=${second}\r\n`),
    exampleData.subarray(65_536),
    Buffer.from(`\r\n0;chunk-signature=${last}\r\n${end}\r\n`),
  ]);

describe("AWS's examples", () => {
  const plain = exampleBody(
    'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
    '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
    'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
    '',
  );
  const withTrailer = exampleBody(
    'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
    '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
    '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
    `${CRC}:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n`,
  );
  const trailerStream: Stream = {
    form: SIGNED_TRAILER,
    lengthBytes: 66_560,
    trailers: [CRC],
    seedSignature: '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
  };

  test('Transferring Payload in Multiple Chunks', () => {
    expect(plain.length).toBe(66_824);
    for (const bytes of [1, 7, 1000, 70_000]) {
      const { data } = decode({ form: SIGNED, lengthBytes: 66_560 }, splitEvery(plain, bytes));
      expect(data.equals(exampleData)).toBe(true);
    }
  });

  test('Including Trailing Headers', () => {
    expect(withTrailer.length).toBe(66_946);
    for (const bytes of [1, 777, 70_000]) {
      const { data, trailers } = decode(trailerStream, splitEvery(withTrailer, bytes));
      expect(data.equals(exampleData)).toBe(true);
      expect(trailers).toEqual({ [CRC]: 'sOO8/Q==' });
    }
    const other = withTrailer.toString('latin1').replace('sOO8/Q==', 'sOO8/A==');
    expect(codeOf(trailerStream, other)).toBe('SignatureDoesNotMatch');
  });
});

describe('what clients send', () => {
  const unsigned: Stream = { form: UNSIGNED_TRAILER, lengthBytes: 3, trailers: [CRC] };

  test('minio-go: LF after a trailer, an empty line before its end or its signature', () => {
    expect(codeOf(unsigned, `3\r\nabc\r\n0\r\n${CRC}:AAAAAA==\n\r\n\r\n`)).toBe('accepted');
    const body = framed(Buffer.from('abc'), { chunkBytes: 8, signed: true, trailer: [[CRC, 'AAAAAA==']] });
    const asMinio = body.toString('latin1').replace('==\r\n', '==\n\r\n');
    expect(codeOf({ ...unsigned, form: SIGNED_TRAILER }, asMinio)).toBe('accepted');
  });

  test('the SDK for JavaScript: no last empty line; an empty line after the last chunk', () => {
    expect(codeOf(unsigned, `3\r\nabc\r\n0\r\n${CRC}:AAAAAA==\r\n`)).toBe('accepted');
    expect(codeOf({ ...unsigned, trailers: [] }, '3\r\nabc\r\n0\r\n')).toBe('accepted');
    expect(codeOf(unsigned, `3\r\nabc\r\n0\r\n\r\n${CRC}:AAAAAA==\r\n\r\n`)).toBe('accepted');
  });

  test('an empty object without any framing', () => {
    expect(codeOf({ form: SIGNED, lengthBytes: 0 }, '')).toBe('accepted');
    expect(codeOf({ form: SIGNED_TRAILER, lengthBytes: 0, trailers: [CRC] }, '')).toBe('accepted');
    expect(codeOf({ form: SIGNED, lengthBytes: 1 }, '')).toBe('IncompleteBody');
  });
});

describe('malformed streams', () => {
  const stream: Stream = { form: UNSIGNED_TRAILER, lengthBytes: 3, trailers: [] };
  const cases: [string, string, string][] = [
    ['truncated before the last chunk', '3\r\nabc\r\n', 'IncompleteBody'],
    ['truncated in the data', '3\r\nab', 'IncompleteBody'],
    ['truncated in a chunk header', '3', 'IncompleteBody'],
    ['truncated after the data', '3\r\nabc', 'IncompleteBody'],
    ['longer than announced', '4\r\nabcd\r\n0\r\n\r\n', 'IncompleteBody'],
    ['shorter than announced', '2\r\nab\r\n0\r\n\r\n', 'IncompleteBody'],
    ['bare LF after a chunk header', '3\nabc\r\n0\r\n\r\n', 'InvalidRequest'],
    ['no CRLF after the data', '3\r\nabc0\r\n\r\n', 'InvalidRequest'],
    ['no hex', 'x\r\nabc\r\n0\r\n\r\n', 'InvalidRequest'],
    ['no size', ';\r\nabc\r\n0\r\n\r\n', 'InvalidRequest'],
    ['negative', '-3\r\nabc\r\n0\r\n\r\n', 'InvalidRequest'],
    ['0x', '0x3\r\nabc\r\n0\r\n\r\n', 'InvalidRequest'],
    ['huge size', 'ffffffffffffffff\r\nabc', 'IncompleteBody'],
    ['size of too many digits', `${'0'.repeat(17)}3\r\nabc\r\n0\r\n\r\n`, 'InvalidRequest'],
    ['endless chunk header', '0'.repeat(5000), 'InvalidRequest'],
    ['extension on an unsigned chunk', '3;a=b\r\nabc\r\n0\r\n\r\n', 'InvalidRequest'],
    ['bytes after the end', '3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1', 'InvalidRequest'],
    ['endless newlines after the end', `3\r\nabc\r\n0\r\n\r\n${'\r\n'.repeat(3)}`, 'InvalidRequest'],
    ['trailer that is not announced', `3\r\nabc\r\n0\r\n${CRC}:AAAAAA==\r\n\r\n`, 'MalformedTrailerError'],
    ['endless trailer', `3\r\nabc\r\n0\r\n${'a'.repeat(TRAILER_BYTES_MAX + 1)}`, 'MalformedTrailerError'],
  ];
  for (const [name, body, code] of cases) {
    test(name, () => expect(codeOf(stream, body)).toBe(code));
  }

  test('announced trailers', () => {
    const announced = { ...stream, trailers: [CRC] };
    const start = '3\r\nabc\r\n0\r\n';
    expect(codeOf(announced, `${start}\r\n`)).toBe('MalformedTrailerError');
    expect(codeOf(announced, `${start}${CRC}:A\r\n${CRC}:B\r\n\r\n`)).toBe('MalformedTrailerError');
    expect(codeOf(announced, `${start}${CRC}:A`)).toBe('MalformedTrailerError');
    expect(codeOf(announced, `${start}x-amz-trailer-signature:${seed}\r\n\r\n`)).toBe(
      'MalformedTrailerError',
    );
  });

  test('signed streams without their signatures', () => {
    const signed = { form: SIGNED, lengthBytes: 3 };
    expect(codeOf(signed, '3\r\nabc\r\n0\r\n\r\n')).toBe('InvalidRequest');
    expect(codeOf(signed, `3;chunk-signature=${'0'.repeat(63)}\r\nabc\r\n`)).toBe('InvalidRequest');
    expect(codeOf(signed, `3;chunk-signature=${'0'.repeat(64)}\r\nabc\r\n`)).toBe('SignatureDoesNotMatch');
    const body = framed(Buffer.from('abc'), { chunkBytes: 3, signed: true, trailer: [[CRC, 'AAAAAA==']] });
    const unsignedTrailer = body.toString('latin1').replace(/x-amz-trailer-signature.*\r\n/, '');
    const withTrailer = { form: SIGNED_TRAILER, lengthBytes: 3, trailers: [CRC] };
    expect(codeOf(withTrailer, unsignedTrailer)).toBe('MalformedTrailerError');
  });

  test('chunks that change places, or are left out', () => {
    const data = Buffer.from('aaabbbccc');
    const text = framed(data, { chunkBytes: 3, signed: true }).toString('latin1');
    const [a, b, ...rest] = text.split(/(?=\r\n3;|^3;)/);
    expect(rest.length).toBeGreaterThan(0);
    const swapped = [`${b}`.slice(2), `\r\n${a}`, ...rest].join('');
    expect(codeOf({ form: SIGNED, lengthBytes: 9 }, text)).toBe('accepted');
    expect(codeOf({ form: SIGNED, lengthBytes: 9 }, swapped)).toBe('SignatureDoesNotMatch');
    const without = [`${b}`.slice(2), ...rest].join('');
    expect(codeOf({ form: SIGNED, lengthBytes: 6 }, without)).toBe('SignatureDoesNotMatch');
  });
});

describe('random', () => {
  const cuts = fc.array(fc.nat(400), { maxLength: 30 });
  const cutUp = (body: Buffer, sizes: readonly number[]) => {
    const pieces: Buffer[] = [];
    let at = 0;
    for (const size of sizes) {
      pieces.push(body.subarray(at, at + size));
      at += size;
    }
    return [...pieces, body.subarray(at)];
  };
  const shape = fc.record({
    data: fc.uint8Array({ maxLength: 1500 }),
    chunkBytes: fc.integer({ min: 1, max: 600 }),
    signed: fc.boolean(),
    trailer: fc.boolean(),
    cuts,
  });
  const build = (s: { data: Uint8Array; chunkBytes: number; signed: boolean; trailer: boolean }) => {
    const trailer: readonly (readonly [string, string])[] = [[CRC, 'AAAAAA==']];
    const withTrailer = s.trailer || !s.signed;
    const body = framed(s.data, {
      chunkBytes: s.chunkBytes,
      signed: s.signed,
      ...(withTrailer ? { trailer } : {}),
    });
    const form = s.signed ? (s.trailer ? SIGNED_TRAILER : SIGNED) : UNSIGNED_TRAILER;
    const stream: Stream = { form, lengthBytes: s.data.length, trailers: withTrailer ? [CRC] : [] };
    return { body, stream };
  };

  test('any split decodes to the same bytes', () => {
    fc.assert(
      fc.property(shape, (s) => {
        const { body, stream } = build(s);
        expect(decode(stream, cutUp(body, s.cuts)).data.equals(s.data)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('a changed, removed or added byte never yields other data from a signed stream, nor any other kind of error', () => {
    const mutation = fc.record({
      at: fc.nat(),
      kind: fc.constantFrom('flip', 'drop', 'add', 'cut'),
      value: fc.integer({ min: 1, max: 255 }),
    });
    fc.assert(
      fc.property(shape, mutation, (s, { at, kind, value }) => {
        const { body, stream } = build(s);
        const index = at % body.length;
        const head = body.subarray(0, index);
        const byte = (body[index] ?? 0) ^ value;
        const mutated = {
          flip: () => Buffer.concat([head, Buffer.from([byte]), body.subarray(index + 1)]),
          drop: () => Buffer.concat([head, body.subarray(index + 1)]),
          add: () => Buffer.concat([head, Buffer.from([value]), body.subarray(index)]),
          cut: () => head,
        }[kind]();
        try {
          const { data } = decode(stream, cutUp(mutated, s.cuts));
          if (s.signed) expect(data.equals(s.data)).toBe(true);
          else expect(data.length).toBe(s.data.length);
        } catch (error) {
          expect(error).toBeInstanceOf(HoldfastError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

test('pieces are slices of what came in, not copies', () => {
  const data = Buffer.alloc(100_000, 'x');
  const body = framed(data, { chunkBytes: 65_536, signed: true });
  const decoder = new ChunkedDecoder({
    form: payloadForm(SIGNED),
    signing: { key, dateTime, scope, seedSignature: seed },
    decodedLengthBytes: data.length,
    announcedTrailers: [],
  });
  const digest = createHash('sha256');
  decoder.push(body, (piece) => {
    expect(piece.buffer).toBe(body.buffer);
    digest.update(piece);
  });
  decoder.finish();
  expect(digest.digest('hex')).toBe(createHash('sha256').update(data).digest('hex'));
});
