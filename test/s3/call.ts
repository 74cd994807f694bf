/** Calls a handler as the server would, through the real operation table, against an ObjectService in memory. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { crc32 } from 'node:zlib';
import { pino } from 'pino';
import { HoldfastError } from '../../src/base/errors.ts';
import type { DigestAlgorithm } from '../../src/coding/digests.ts';
import type { StoredChecksum } from '../../src/metadata/records.ts';
import type { IncomingBody, ObjectService } from '../../src/objects/types.ts';
import { claimedChecksum, digestOf } from '../../src/s3/headers-checksums.ts';
import type { OperationContext, OperationResponse } from '../../src/s3/operation.ts';
import { operations } from '../../src/s3/operations/index.ts';
import { OperationTable } from '../../src/s3/operationtable.ts';
import { parseXml, type XmlElement } from '../../src/s3/xml-parse.ts';

export const OWNER_ID = 'a'.repeat(64);
const table = new OperationTable(operations);

export interface CallOptions {
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: IncomingHttpHeaders;
  readonly body?: string | Buffer;
}

export interface CallResult {
  readonly operation: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Document or object body. */
  readonly bytes: Buffer;
  readonly text: string;
  /** The document, parsed; its root may have any name. */
  readonly xml: XmlElement;
}

export class Caller {
  readonly objects: ObjectService;
  readonly region: string;

  constructor(objects: ObjectService, region = 'us-east-1') {
    this.objects = objects;
    this.region = region;
  }

  /** `path` is `/`, `/bucket` or `/bucket/key`, decoded. Rejects with the handler's error. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<CallResult> {
    const [, bucket = '', key = ''] = /^\/([^/]*)(?:\/(.*))?$/su.exec(path) ?? [];
    const headers = options.headers ?? {};
    const level = bucket === '' ? 'service' : key === '' ? 'bucket' : 'object';
    const query = Object.entries(options.query ?? {});
    const operation = table.find(method, { level, bucket, key }, query, headers);
    const bytes = Buffer.from(options.body ?? '');
    const context: OperationContext = {
      requestId: 'request',
      identity: { accessKeyId: 'key', ownerId: OWNER_ID, displayName: 'owner' },
      bucket,
      key,
      query: new URLSearchParams(options.query),
      headers,
      objects: this.objects,
      region: this.region,
      endpoint: 'http://127.0.0.1:9000',
      signal: new AbortController().signal,
      log: pino({ level: 'silent' }),
      body: () => incomingBody(bytes, headers),
      document: async (bytesMax) => {
        if (bytes.length > bytesMax) throw new HoldfastError('MaxMessageLengthExceeded');
        return bytes;
      },
    };
    const answer = await operation.handle(context);
    const body = answer.deferred ? await answer.deferred : answer.body;
    const sent = await bodyBytes(body);
    return {
      operation: operation.name,
      status: answer.status,
      headers: answer.headers ?? {},
      bytes: sent,
      text: sent.toString('utf8'),
      get xml() {
        const rootName = /<([A-Za-z]+)[ >/]/.exec(sent.toString('utf8'))?.[1] ?? '';
        return parseXml(sent, rootName, 100_000);
      },
    };
  }

  /** The code that a call is refused with; its name in a failed expectation when it is not refused. */
  async refusal(method: string, path: string, options: CallOptions = {}): Promise<string> {
    return (await this.error(method, path, options)).code;
  }

  async error(method: string, path: string, options: CallOptions = {}): Promise<HoldfastError> {
    try {
      const { operation, status } = await this.call(method, path, options);
      throw new Error(`${operation} answered ${status}`);
    } catch (error) {
      if (error instanceof HoldfastError) return error;
      throw error;
    }
  }
}

/** Text of the element at `path`, `undefined` where there is none. */
export function textAt(root: XmlElement, ...path: string[]): string | undefined {
  let at: XmlElement | undefined = root;
  for (const name of path) at = at?.children.find((child) => child.name === name);
  return at?.text;
}

/** Text of the element `leafName` in each child of `root` called `name`. */
export function each(root: XmlElement, name: string, leafName: string): (string | undefined)[] {
  return root.children.filter((child) => child.name === name).map((child) => textAt(child, leafName));
}

async function bodyBytes(body: OperationResponse['body']): Promise<Buffer> {
  if (body === undefined) return Buffer.alloc(0);
  if (typeof body === 'string') return Buffer.from(body);
  const pieces: Buffer[] = [];
  for await (const piece of body.stream(new AbortController().signal)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

function incomingBody(bytes: Buffer, headers: IncomingHttpHeaders): IncomingBody {
  const claim = claimedChecksum(headers);
  const algorithms: DigestAlgorithm[] = claim ? [digestOf(claim.algorithm)] : [];
  return {
    lengthBytes: Number(headers['content-length'] ?? bytes.length),
    algorithms,
    signal: new AbortController().signal,
    async *[Symbol.asyncIterator]() {
      yield bytes;
    },
    verify: (digests): StoredChecksum | undefined => {
      const computed = claim && digests[digestOf(claim.algorithm)]?.toString('base64');
      if (claim && computed !== claim.value) throw new HoldfastError('BadDigest');
      return claim && { ...claim, type: 'FULL_OBJECT' };
    },
  };
}

export function md5Hex(text: string | Buffer): string {
  return createHash('md5').update(text).digest('hex');
}

/** As in x-amz-checksum-crc32. */
export function crc32Base64(text: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(text));
  return bytes.toString('base64');
}
