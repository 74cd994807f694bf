/** What a load generator is told to do and what it answers; the one in C and the one in JavaScript speak the same. */
import { randomFillSync } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { amzDate, encodePath, frame, signHeader } from '../../test/s3/signer.ts';
import { presign, type Target } from './presign.ts';

export interface Plan {
  readonly target: Target;
  readonly connections: number;
  readonly method: 'PUT' | 'GET' | 'DELETE';
  /** Paths are used in turn; each request takes the next one, and starts over at the end. */
  readonly paths: readonly string[];
  /** Each path is asked for with each of these. Default: once, without. */
  readonly queries?: readonly Readonly<Record<string, string>>[];
  /** Size of the object of a PUT; its framing in chunks comes on top. */
  readonly bodyBytes: number;
  /** Sends the body the way newer SDKs do by default: aws-chunked, unsigned, with a CRC-32 in the trailer. */
  readonly awsChunked?: boolean;
  /** Ends after this many requests or this long, whichever comes first. */
  readonly requestsMax: number;
  readonly durationMs: number;
}

export interface LoadResult {
  /** Answered in full with a status below 300. */
  readonly requests: number;
  readonly failed: number;
  /** Its status line, or what broke the connection. */
  readonly firstFailure: string;
  /** Of bodies, both ways. */
  readonly bytes: number;
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** What the generator itself took from the machine it shares with the server. */
  readonly clientCpuSeconds: number;
}

const CHUNK_BYTES = 64 * 1024;
const unsignedSeed = { signature: '', scope: '', signingKey: Buffer.alloc(0) };

/** The bytes that follow every head of the plan: random, the same for all its requests. */
export function requestBody(plan: Plan): Buffer {
  const content = randomFillSync(Buffer.alloc(plan.bodyBytes));
  return plan.awsChunked === true ? framed(content) : content;
}

/** STREAMING-UNSIGNED-PAYLOAD-TRAILER of docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html. */
function framed(content: Buffer): Buffer {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(content));
  const trailer = [['x-amz-checksum-crc32', checksum.toString('base64')]] as const;
  return frame(content, { chunkBytes: CHUNK_BYTES, signed: false, trailer }, unsignedSeed, '');
}

/** The heads of the plan's requests, signed, each up to and with its empty line. */
export function requestHeads(plan: Plan, bytesOnWire: number): Buffer[] {
  const head = plan.awsChunked === true ? chunkedHead : presignedHead;
  return plan.paths.flatMap((path) =>
    (plan.queries ?? [{}]).map((query) => Buffer.from(head(plan, path, query, bytesOnWire))),
  );
}

function presignedHead(plan: Plan, path: string, query: Readonly<Record<string, string>>, bytes: number) {
  return (
    `${plan.method} ${presign(plan.target, plan.method, path, query)} HTTP/1.1\r\n` +
    `Host: ${plan.target.host}:${plan.target.port}\r\n` +
    (plan.method === 'PUT' ? `Content-Length: ${bytes}\r\n` : '') +
    '\r\n'
  );
}

function chunkedHead(plan: Plan, path: string, _query: Readonly<Record<string, string>>, bytes: number) {
  const unsigned = {
    method: plan.method,
    path: encodePath(path),
    headers: {
      host: `${plan.target.host}:${plan.target.port}`,
      'content-encoding': 'aws-chunked',
      'content-length': String(bytes),
      'x-amz-decoded-content-length': String(plan.bodyBytes),
      'x-amz-trailer': 'x-amz-checksum-crc32',
    },
    payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  };
  const signed = signHeader(unsigned, { keys: plan.target, dateTime: amzDate(Date.now()) });
  const fields = Object.entries(signed.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${plan.method} ${signed.target} HTTP/1.1\r\n${fields.join('')}\r\n`;
}
