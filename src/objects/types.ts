/**
 * S3's semantics without HTTP: what `s3` asks of `objects`. All methods reject with HoldfastError codes of AWS's table.
 * Names are strings (well-formed UTF-16); their UTF-8 form is what is stored and ordered.
 */
import type { BodyDigests, DigestAlgorithm } from '../coding/digests.ts';
import type {
  ChecksumAlgorithm,
  ObjectAttributes,
  StoredChecksum,
  StoredHeaders,
} from '../metadata/records.ts';

/** A request body on its way in. The iterator ends only after framing, length and chunk signatures were right. */
export interface IncomingBody extends AsyncIterable<Uint8Array> {
  /** Decoded length announced by the client; undefined when unknown (then the body is treated as large). */
  readonly lengthBytes: number | undefined;
  /** What must be computed for `verify`. */
  readonly algorithms: readonly DigestAlgorithm[];
  /**
   * Called once, after the last byte and before anything is committed. Compares with headers and trailers and throws
   * (BadDigest, XAmzContentSHA256Mismatch, …), or returns the checksum to store with the object or part.
   */
  verify(digests: BodyDigests): StoredChecksum | undefined;
  /** Aborts waiting when the client goes away. */
  readonly signal: AbortSignal;
  /**
   * A shorter way for bytes of a large body from a fast client: straight into `target`, until that is full or `waitMs` have passed. Resolves
   * to how many came; undefined when the iterator has the next ones, which must then be asked. Nothing else may use the target meanwhile.
   */
  receive?(target: Uint8Array, waitMs: number): Promise<number | undefined>;
  /** Bytes are certain to come that way: whoever waits for the next one need not ask the iterator. */
  readonly receiving?: boolean;
}

export interface ObjectInfo extends ObjectAttributes {
  readonly key: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly checksum: StoredChecksum | undefined;
  /** Count of parts of a multipart object. */
  readonly partCount: number | undefined;
}

/** RFC 9110 section 13: evaluated by `objects` against one consistent version. ETags without quotes; '*' matches any. */
export interface ReadConditions {
  readonly ifMatch?: readonly string[];
  readonly ifNoneMatch?: readonly string[];
  readonly ifModifiedSinceMs?: number;
  readonly ifUnmodifiedSinceMs?: number;
}

/** Conditional PUT, complete and delete. Checked before the body is read and again when it is committed. */
export interface WriteConditions {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: '*';
}

/** As asked for: `bytes=first-last`, `bytes=first-`, `bytes=-suffix`. */
export type RangeRequest =
  | { readonly firstByte: number; readonly lastByte?: number }
  | { readonly suffixBytes: number };

export interface ReadRequest {
  readonly bucket: string;
  readonly key: string;
  readonly range?: RangeRequest;
  readonly partNumber?: number;
  readonly conditions?: ReadConditions;
}

export interface ObjectHead {
  readonly info: ObjectInfo;
  /** What is to be sent; the whole object where no range or part was asked for. `lastByte` is inclusive. */
  readonly range: { readonly firstByte: number; readonly lengthBytes: number; readonly partial: boolean };
}

export interface ObjectBody extends ObjectHead {
  /** Pieces in order. A piece is valid only until the next one is asked for. Must be iterated to the end or returned. */
  stream(signal: AbortSignal): AsyncGenerator<Uint8Array, void, void>;
}

export interface PutRequest extends ObjectAttributes {
  readonly bucket: string;
  readonly key: string;
  readonly body: IncomingBody;
  readonly conditions?: WriteConditions;
}

export interface PutResult {
  readonly etag: string;
  readonly checksum: StoredChecksum | undefined;
  readonly sizeBytes: number;
}

export interface CopySource {
  readonly bucket: string;
  readonly key: string;
  readonly conditions?: ReadConditions;
}

export interface CopyRequest {
  readonly source: CopySource;
  readonly bucket: string;
  readonly key: string;
  readonly conditions?: WriteConditions;
  /** Attributes for the target where the directive is REPLACE; undefined means COPY from the source. */
  readonly replaceMetadata?: {
    readonly headers: StoredHeaders;
    readonly metadata: Readonly<Record<string, string>>;
  };
  readonly replaceTags?: ObjectAttributes['tags'];
  readonly storageClass?: string;
  readonly checksumAlgorithm?: ChecksumAlgorithm;
}

export interface CopyResult {
  readonly etag: string;
  readonly modifiedMs: number;
  readonly checksum: StoredChecksum | undefined;
}

export interface ListRequest {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  /** Exclusive: only what sorts after it. Also skips the rest of a common prefix when it names one. */
  readonly after: string;
  readonly maxKeys: number;
}

export interface ListResult {
  readonly objects: readonly ObjectInfo[];
  readonly commonPrefixes: readonly string[];
  readonly truncated: boolean;
  /** `after` for the next page: the last key or common prefix of this one. Present when truncated. */
  readonly next: string | undefined;
}

export interface UploadRequest extends ObjectAttributes {
  readonly bucket: string;
  readonly key: string;
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: 'FULL_OBJECT' | 'COMPOSITE';
}

export interface UploadPointer {
  readonly bucket: string;
  readonly key: string;
  /** As given to the client; anything malformed is NoSuchUpload. */
  readonly uploadId: string;
}

export interface CompletedPart {
  readonly partNumber: number;
  readonly etag: string;
  readonly checksums: Partial<Record<ChecksumAlgorithm, string>>;
}

export interface CompleteRequest extends UploadPointer {
  readonly parts: readonly CompletedPart[];
  readonly conditions?: WriteConditions;
  /** The client's claim about the whole object (x-amz-checksum-*, x-amz-mp-object-size); verified. */
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly value: string };
  readonly checksumType?: 'FULL_OBJECT' | 'COMPOSITE';
  readonly sizeBytes?: number;
}

export interface PartInfo {
  readonly partNumber: number;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly checksum: StoredChecksum | undefined;
}

export interface ListPartsResult {
  readonly parts: readonly PartInfo[];
  readonly truncated: boolean;
  readonly nextPartNumberMarker: number;
  readonly storageClass: string;
  readonly initiatedMs: number;
  readonly checksumAlgorithm: ChecksumAlgorithm | undefined;
  readonly checksumType: 'FULL_OBJECT' | 'COMPOSITE' | undefined;
}

export interface ListUploadsRequest {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  readonly keyMarker: string;
  readonly uploadIdMarker: string;
  readonly maxUploads: number;
}

export interface UploadInfo {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
  readonly storageClass: string;
  readonly checksumAlgorithm: ChecksumAlgorithm | undefined;
  readonly checksumType: 'FULL_OBJECT' | 'COMPOSITE' | undefined;
}

export interface ListUploadsResult {
  readonly uploads: readonly UploadInfo[];
  readonly commonPrefixes: readonly string[];
  readonly truncated: boolean;
  readonly nextKeyMarker: string;
  readonly nextUploadIdMarker: string;
}

/** What the ETags of simple objects and parts are (etags.ts): the MD5 of their bytes, or nothing that can be computed. */
export type EtagKind = 'md5' | 'opaque';

export interface BucketInfo {
  readonly name: string;
  readonly createdMs: number;
  readonly region: string;
  readonly etags: EtagKind;
}

export interface PartsPage {
  readonly parts: readonly PartInfo[];
  readonly truncated: boolean;
  readonly nextPartNumberMarker: number;
}

export interface ObjectService {
  /**
   * `etags`: what this server gives new buckets when absent.
   * @throws InvalidBucketName, BucketAlreadyOwnedByYou
   */
  createBucket(name: string, region: string, etags?: EtagKind): Promise<void>;
  headBucket(name: string): Promise<BucketInfo>;
  /** @throws BucketNotEmpty while objects or uploads are in it */
  deleteBucket(name: string): Promise<void>;
  listBuckets(): Promise<readonly BucketInfo[]>;

  putObject(request: PutRequest): Promise<PutResult>;
  headObject(request: ReadRequest): Promise<ObjectHead>;
  getObject(request: ReadRequest): Promise<ObjectBody>;
  /** No error when there is no such key. */
  deleteObject(bucket: string, key: string, conditions?: WriteConditions): Promise<void>;
  copyObject(request: CopyRequest): Promise<CopyResult>;
  listObjects(request: ListRequest): Promise<ListResult>;
  /** Parts of a multipart object for GetObjectAttributes; empty for simple objects. */
  objectParts(bucket: string, key: string, afterPartNumber: number, maxParts: number): Promise<PartsPage>;

  getTags(bucket: string, key: string): Promise<ObjectAttributes['tags']>;
  putTags(bucket: string, key: string, tags: ObjectAttributes['tags']): Promise<void>;

  createUpload(request: UploadRequest): Promise<string>;
  uploadPart(pointer: UploadPointer, partNumber: number, body: IncomingBody): Promise<PutResult>;
  uploadPartCopy(
    pointer: UploadPointer,
    partNumber: number,
    source: CopySource,
    range?: RangeRequest,
  ): Promise<CopyResult>;
  /** What createUpload was told; for handlers that must know the checksum algorithm before the body. */
  describeUpload(pointer: UploadPointer): Promise<{
    readonly checksumAlgorithm: ChecksumAlgorithm | undefined;
    readonly checksumType: 'FULL_OBJECT' | 'COMPOSITE' | undefined;
  }>;
  /** Idempotent: completing again with the same parts answers the same. */
  completeUpload(request: CompleteRequest): Promise<PutResult>;
  abortUpload(pointer: UploadPointer): Promise<void>;
  listParts(pointer: UploadPointer, afterPartNumber: number, maxParts: number): Promise<ListPartsResult>;
  listUploads(request: ListUploadsRequest): Promise<ListUploadsResult>;
}
