/**
 * An ObjectService in memory, for tests of handlers only: it keeps what it is given, evaluates conditions,
 * ranges, listings and multipart uploads as S3 defines them, and throws the codes that the interface names.
 * It knows nothing of stripes, commits or concurrency; what `objects` does about those is tested there.
 */
import { createHash } from 'node:crypto';
import { HoldfastError } from '../../src/base/errors.ts';
import { createBodyDigest } from '../../src/coding/digest.ts';
import type { BodyDigests, DigestAlgorithm } from '../../src/coding/digests.ts';
import type { ObjectAttributes } from '../../src/metadata/records.ts';
import type * as objects from '../../src/objects/types.ts';
import { digestOf } from '../../src/s3/headers-checksums.ts';

interface Stored {
  readonly info: objects.ObjectInfo;
  readonly bytes: Buffer;
  readonly parts: readonly objects.PartInfo[];
}

interface Upload {
  readonly request: objects.UploadRequest;
  readonly initiatedMs: number;
  readonly parts: Map<number, { info: objects.PartInfo; bytes: Buffer }>;
}

interface Bucket {
  readonly info: objects.BucketInfo;
  readonly objects: Map<string, Stored>;
  readonly uploads: Map<string, Upload>;
}

const order = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest();

export class MemoryObjects implements objects.ObjectService {
  /** Every write takes the next second, so that times differ. */
  nowMs = Date.UTC(2026, 0, 1);
  readonly #buckets = new Map<string, Bucket>();
  #uploadCount = 0;

  async createBucket(name: string, region: string, etags: objects.EtagKind = 'md5'): Promise<void> {
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) throw new HoldfastError('InvalidBucketName');
    if (this.#buckets.has(name)) throw new HoldfastError('BucketAlreadyOwnedByYou');
    const info = { name, region, createdMs: this.#tick(), etags };
    this.#buckets.set(name, { info, objects: new Map(), uploads: new Map() });
  }

  async headBucket(name: string): Promise<objects.BucketInfo> {
    return this.#bucket(name).info;
  }

  async deleteBucket(name: string): Promise<void> {
    const bucket = this.#bucket(name);
    if (bucket.objects.size + bucket.uploads.size > 0) throw new HoldfastError('BucketNotEmpty');
    this.#buckets.delete(name);
  }

  async listBuckets(): Promise<readonly objects.BucketInfo[]> {
    return [...this.#buckets.values()].map((bucket) => bucket.info);
  }

  async putObject(request: objects.PutRequest): Promise<objects.PutResult> {
    const bucket = this.#bucket(request.bucket);
    checkWrite(bucket.objects.get(request.key)?.info, request.conditions);
    const { bytes, etag, checksum } = await readBody(request.body);
    checkWrite(bucket.objects.get(request.key)?.info, request.conditions);
    this.#store(bucket, request.key, request, bytes, etag, checksum);
    return { etag, checksum, sizeBytes: bytes.length };
  }

  async headObject(request: objects.ReadRequest): Promise<objects.ObjectHead> {
    return this.#read(request);
  }

  async getObject(request: objects.ReadRequest): Promise<objects.ObjectBody> {
    const head = this.#read(request);
    const { bytes } = this.#object(request.bucket, request.key);
    const { firstByte, lengthBytes } = head.range;
    return {
      ...head,
      async *stream() {
        yield bytes.subarray(firstByte, firstByte + lengthBytes);
      },
    };
  }

  async deleteObject(name: string, key: string, conditions?: objects.WriteConditions): Promise<void> {
    const bucket = this.#bucket(name);
    checkWrite(bucket.objects.get(key)?.info, conditions);
    bucket.objects.delete(key);
  }

  async copyObject(request: objects.CopyRequest): Promise<objects.CopyResult> {
    const { info, bytes } = this.#source(request.source);
    const bucket = this.#bucket(request.bucket);
    checkWrite(bucket.objects.get(request.key)?.info, request.conditions);
    const attributes: ObjectAttributes = {
      headers: request.replaceMetadata?.headers ?? info.headers,
      metadata: request.replaceMetadata?.metadata ?? info.metadata,
      tags: request.replaceTags ?? info.tags,
      storageClass: request.storageClass ?? info.storageClass,
    };
    const etag = md5(bytes).toString('hex');
    const stored = this.#store(bucket, request.key, attributes, bytes, etag, info.checksum);
    return { etag, modifiedMs: stored.info.modifiedMs, checksum: stored.info.checksum };
  }

  async listObjects(request: objects.ListRequest): Promise<objects.ListResult> {
    const { prefix, delimiter, after, maxKeys } = request;
    const found: (string | Stored)[] = [];
    const keys = [...this.#bucket(request.bucket).objects.values()];
    for (const stored of keys.sort((a, b) => order(a.info.key, b.info.key))) {
      const { key } = stored.info;
      if (!key.startsWith(prefix)) continue;
      const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      const common = cut < 0 ? undefined : key.slice(0, cut + delimiter.length);
      if (order(common ?? key, after) <= 0 || (common !== undefined && after.startsWith(common))) continue;
      if (common === undefined) found.push(stored);
      else if (found.at(-1) !== common) found.push(common);
      if (found.length > maxKeys) break;
    }
    const page = found.slice(0, maxKeys);
    const last = page.at(-1);
    const truncated = found.length > maxKeys;
    return {
      objects: page.flatMap((entry) => (typeof entry === 'string' ? [] : [entry.info])),
      commonPrefixes: page.filter((entry) => typeof entry === 'string'),
      truncated,
      next: truncated ? (typeof last === 'string' ? last : last?.info.key) : undefined,
    };
  }

  async objectParts(
    bucket: string,
    key: string,
    after: number,
    maxParts: number,
  ): Promise<objects.PartsPage> {
    return pageOf(this.#object(bucket, key).parts, after, maxParts);
  }

  async getTags(bucket: string, key: string): Promise<ObjectAttributes['tags']> {
    return this.#object(bucket, key).info.tags;
  }

  async putTags(name: string, key: string, tags: ObjectAttributes['tags']): Promise<void> {
    const stored = this.#object(name, key);
    this.#bucket(name).objects.set(key, { ...stored, info: { ...stored.info, tags } });
  }

  async createUpload(request: objects.UploadRequest): Promise<string> {
    const uploadId = `upload-${++this.#uploadCount}`;
    const upload = { request, initiatedMs: this.#tick(), parts: new Map() };
    this.#bucket(request.bucket).uploads.set(uploadId, upload);
    return uploadId;
  }

  async uploadPart(pointer: objects.UploadPointer, partNumber: number, body: objects.IncomingBody) {
    const upload = this.#upload(pointer);
    const { bytes, etag, checksum } = await readBody(body);
    return this.#storePart(upload, partNumber, bytes, etag, checksum);
  }

  async uploadPartCopy(
    pointer: objects.UploadPointer,
    partNumber: number,
    source: objects.CopySource,
    range?: objects.RangeRequest,
  ): Promise<objects.CopyResult> {
    const upload = this.#upload(pointer);
    const { bytes } = this.#source(source);
    if (range && 'lastByte' in range && (range.lastByte ?? 0) >= bytes.length) {
      throw new HoldfastError('InvalidArgument');
    }
    const { firstByte, lengthBytes } = resolveRange(range, bytes.length);
    const piece = bytes.subarray(firstByte, firstByte + lengthBytes);
    this.#storePart(upload, partNumber, piece, md5(piece).toString('hex'), undefined);
    return { etag: md5(piece).toString('hex'), modifiedMs: this.nowMs, checksum: undefined };
  }

  async describeUpload(pointer: objects.UploadPointer) {
    const { checksumAlgorithm, checksumType } = this.#upload(pointer).request;
    return { checksumAlgorithm, checksumType };
  }

  async completeUpload(request: objects.CompleteRequest): Promise<objects.PutResult> {
    const upload = this.#upload(request);
    const bucket = this.#bucket(request.bucket);
    checkWrite(bucket.objects.get(request.key)?.info, request.conditions);
    let previous = 0;
    const parts = request.parts.map(({ partNumber, etag }) => {
      if (partNumber <= previous) throw new HoldfastError('InvalidPartOrder');
      previous = partNumber;
      const part = upload.parts.get(partNumber);
      if (!part || part.info.etag !== etag) throw new HoldfastError('InvalidPart');
      return part;
    });
    const bytes = Buffer.concat(parts.map((part) => part.bytes));
    if (request.sizeBytes !== undefined && request.sizeBytes !== bytes.length) {
      throw new HoldfastError('InvalidRequest');
    }
    const digest = md5(Buffer.concat(parts.map((part) => Buffer.from(part.info.etag, 'hex'))));
    const etag = `${digest.toString('hex')}-${parts.length}`;
    const infos = parts.map((part) => part.info);
    const checksum = wholeChecksum(upload.request, infos, bytes);
    this.#store(bucket, request.key, upload.request, bytes, etag, checksum, infos);
    bucket.uploads.delete(request.uploadId);
    return { etag, checksum, sizeBytes: bytes.length };
  }

  async abortUpload(pointer: objects.UploadPointer): Promise<void> {
    this.#upload(pointer);
    this.#bucket(pointer.bucket).uploads.delete(pointer.uploadId);
  }

  async listParts(pointer: objects.UploadPointer, after: number, maxParts: number) {
    const upload = this.#upload(pointer);
    const parts = [...upload.parts.values()].map((part) => part.info);
    return {
      ...pageOf(
        parts.sort((a, b) => a.partNumber - b.partNumber),
        after,
        maxParts,
      ),
      storageClass: upload.request.storageClass,
      initiatedMs: upload.initiatedMs,
      checksumAlgorithm: upload.request.checksumAlgorithm,
      checksumType: upload.request.checksumType,
    };
  }

  async listUploads(request: objects.ListUploadsRequest): Promise<objects.ListUploadsResult> {
    const { prefix, delimiter, keyMarker, uploadIdMarker, maxUploads } = request;
    const all = [...this.#bucket(request.bucket).uploads]
      .map(([uploadId, upload]) => ({ uploadId, ...upload.request, initiatedMs: upload.initiatedMs }))
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => order(a.key, b.key) || order(a.uploadId, b.uploadId))
      .filter(
        ({ key, uploadId }) =>
          order(key, keyMarker) > 0 ||
          (key === keyMarker && uploadIdMarker !== '' && order(uploadId, uploadIdMarker) > 0),
      );
    const cut = (key: string) => (delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length));
    const commonPrefixes = [
      ...new Set(all.filter(({ key }) => cut(key) >= 0).map(({ key }) => key.slice(0, cut(key) + 1))),
    ];
    const single = all.filter(({ key }) => cut(key) < 0);
    const uploads = single.slice(0, maxUploads).map((upload) => ({
      key: upload.key,
      uploadId: upload.uploadId,
      initiatedMs: upload.initiatedMs,
      storageClass: upload.storageClass,
      checksumAlgorithm: upload.checksumAlgorithm,
      checksumType: upload.checksumType,
    }));
    const last = uploads.at(-1);
    return {
      uploads,
      commonPrefixes,
      truncated: single.length > maxUploads,
      nextKeyMarker: last?.key ?? '',
      nextUploadIdMarker: last?.uploadId ?? '',
    };
  }

  #tick(): number {
    this.nowMs += 1000;
    return this.nowMs;
  }

  #bucket(name: string): Bucket {
    const bucket = this.#buckets.get(name);
    if (!bucket) throw new HoldfastError('NoSuchBucket', { fields: { BucketName: name } });
    return bucket;
  }

  #object(bucket: string, key: string): Stored {
    const stored = this.#bucket(bucket).objects.get(key);
    if (!stored) throw new HoldfastError('NoSuchKey', { fields: { Key: key } });
    return stored;
  }

  #source(source: objects.CopySource): Stored {
    const stored = this.#object(source.bucket, source.key);
    checkRead(stored.info, source.conditions, 'PreconditionFailed');
    return stored;
  }

  #upload(pointer: objects.UploadPointer): Upload {
    const upload = this.#bucket(pointer.bucket).uploads.get(pointer.uploadId);
    if (!upload || upload.request.key !== pointer.key) throw new HoldfastError('NoSuchUpload');
    return upload;
  }

  #store(
    bucket: Bucket,
    key: string,
    { headers, metadata, tags, storageClass }: ObjectAttributes,
    bytes: Buffer,
    etag: string,
    checksum: objects.ObjectInfo['checksum'],
    parts: readonly objects.PartInfo[] = [],
  ): Stored {
    const partCount = parts.length === 0 ? undefined : parts.length;
    const modifiedMs = this.#tick();
    const attributes = { headers, metadata, tags, storageClass };
    const info = { ...attributes, key, etag, checksum, partCount, modifiedMs, sizeBytes: bytes.length };
    const stored = { info, bytes, parts };
    bucket.objects.set(key, stored);
    return stored;
  }

  #storePart(
    upload: Upload,
    partNumber: number,
    bytes: Buffer,
    etag: string,
    checksum: objects.PartInfo['checksum'],
  ): objects.PutResult {
    const info = { partNumber, etag, checksum, sizeBytes: bytes.length, modifiedMs: this.#tick() };
    upload.parts.set(partNumber, { info, bytes });
    return { etag, checksum, sizeBytes: bytes.length };
  }

  #read(request: objects.ReadRequest): objects.ObjectHead {
    const { info, parts } = this.#object(request.bucket, request.key);
    checkRead(info, request.conditions);
    if (request.partNumber === undefined) {
      const range = resolveRange(request.range, info.sizeBytes);
      return { info, range: { ...range, partial: request.range !== undefined } };
    }
    const index = parts.findIndex((part) => part.partNumber === request.partNumber);
    const part = parts[index];
    if (!part && (parts.length > 0 || request.partNumber > 1)) throw new HoldfastError('InvalidPartNumber');
    const firstByte = parts.slice(0, Math.max(index, 0)).reduce((sum, each) => sum + each.sizeBytes, 0);
    return { info, range: { firstByte, lengthBytes: part?.sizeBytes ?? info.sizeBytes, partial: true } };
  }
}

function pageOf(parts: readonly objects.PartInfo[], after: number, maxParts: number): objects.PartsPage {
  const rest = parts.filter((part) => part.partNumber > after);
  const page = rest.slice(0, maxParts);
  return {
    parts: page,
    truncated: rest.length > page.length,
    nextPartNumberMarker: page.at(-1)?.partNumber ?? after,
  };
}

function resolveRange(range: objects.RangeRequest | undefined, sizeBytes: number) {
  if (!range) return { firstByte: 0, lengthBytes: sizeBytes };
  if ('suffixBytes' in range) {
    const lengthBytes = Math.min(range.suffixBytes, sizeBytes);
    if (lengthBytes === 0) throw new HoldfastError('InvalidRange');
    return { firstByte: sizeBytes - lengthBytes, lengthBytes };
  }
  if (range.firstByte >= sizeBytes) throw new HoldfastError('InvalidRange');
  const lastByte = Math.min(range.lastByte ?? sizeBytes - 1, sizeBytes - 1);
  return { firstByte: range.firstByte, lengthBytes: lastByte - range.firstByte + 1 };
}

function checkWrite(info: objects.ObjectInfo | undefined, conditions?: objects.WriteConditions): void {
  if (conditions?.ifNoneMatch && info) throw new HoldfastError('PreconditionFailed');
  if (conditions?.ifMatch === undefined) return;
  if (!info) throw new HoldfastError('NoSuchKey');
  if (conditions.ifMatch !== '*' && conditions.ifMatch !== info.etag) {
    throw new HoldfastError('PreconditionFailed');
  }
}

function checkRead(
  info: objects.ObjectInfo,
  conditions: objects.ReadConditions = {},
  unchanged: 'NotModified' | 'PreconditionFailed' = 'NotModified',
): void {
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs } = conditions;
  const modifiedMs = Math.floor(info.modifiedMs / 1000) * 1000;
  const named = (etags: readonly string[]) => etags.includes('*') || etags.includes(info.etag);
  if (ifMatch ? !named(ifMatch) : ifUnmodifiedSinceMs !== undefined && modifiedMs > ifUnmodifiedSinceMs) {
    throw new HoldfastError('PreconditionFailed');
  }
  if (ifNoneMatch ? named(ifNoneMatch) : ifModifiedSinceMs !== undefined && modifiedMs <= ifModifiedSinceMs) {
    throw new HoldfastError(unchanged);
  }
}

async function readBody(body: objects.IncomingBody) {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(Buffer.from(piece));
  const bytes = Buffer.concat(pieces);
  const checksum = body.verify(digestsOf(bytes, body.algorithms));
  return { bytes, etag: md5(bytes).toString('hex'), checksum };
}

function digestsOf(bytes: Buffer, algorithms: readonly DigestAlgorithm[]): BodyDigests {
  const digest = createBodyDigest(algorithms);
  digest.update(bytes);
  return digest.digest();
}

/** The checksum of a finished upload; a part without one has no place in a composite, and is left out. */
function wholeChecksum(
  request: objects.UploadRequest,
  parts: readonly objects.PartInfo[],
  bytes: Buffer,
): objects.ObjectInfo['checksum'] {
  const { checksumAlgorithm: algorithm, checksumType: type } = request;
  if (!algorithm || !type) return undefined;
  const values = parts.map((part) => Buffer.from(part.checksum?.value ?? '', 'base64'));
  const name = digestOf(algorithm);
  const digest = digestsOf(type === 'COMPOSITE' ? Buffer.concat(values) : bytes, [name])[name];
  const suffix = type === 'COMPOSITE' ? `-${parts.length}` : '';
  return { algorithm, type, value: `${digest?.toString('base64')}${suffix}` };
}
