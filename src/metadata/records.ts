/**
 * The records under the key schema. They are CBOR (RFC 8949) maps with the field names below; byte strings are Buffers.
 * `v` is the format of the record: readers refuse what they do not know (FormatTooNew). Times are milliseconds since
 * 1970.
 */
import { Encoder } from 'cbor-x';
import { HoldfastError } from '../base/errors.ts';

const encoder = new Encoder({
  useRecords: false,
  mapsAsObjects: true,
  tagUint8Array: false,
  variableMapSize: true,
});

export interface RecordBase {
  readonly v: number;
}

export interface BucketRecord extends RecordBase {
  readonly bucketId: Buffer;
  readonly createdMs: number;
  readonly region: string;
  /** Attempts to delete the bucket; absent counts as 0. Each makes the record another (src/objects/buckets.ts). */
  readonly deletions?: number;
  /** ETags of what is written to it are no digests; absent: MD5, as S3 has it (src/objects/etags.ts). */
  readonly etags?: 'opaque';
}

export type ChecksumAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256';

export interface StoredChecksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Base64, with `-N` for composite checksums. */
  readonly value: string;
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
}

/** Headers that are stored with an object and returned as they came. */
export interface StoredHeaders {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly contentDisposition?: string;
  readonly contentLanguage?: string;
  readonly cacheControl?: string;
  readonly expires?: string;
  readonly websiteRedirectLocation?: string;
}

export interface ObjectAttributes {
  readonly headers: StoredHeaders;
  /** Names in lower case, without `x-amz-meta-`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: readonly (readonly [key: string, value: string])[];
  readonly storageClass: string;
}

export interface VersionRecord extends RecordBase, ObjectAttributes {
  readonly versionId: Buffer;
  readonly modifiedMs: number;
  readonly sizeBytes: number;
  /** Without quotes. */
  readonly etag: string;
  readonly checksum?: StoredChecksum;
  /** The content of a simple object; absent when empty-bodied objects carry none or when `partCount` is there. */
  readonly contentId?: Buffer;
  /** Multipart: the parts are in PartListPages under the version id. */
  readonly partCount?: number;
  /** Multipart: the upload that made it, so that completing again is answered the same. */
  readonly uploadId?: Buffer;
  /** Epoch of the authenticator below. */
  readonly epochId: Buffer;
  /** Seal(epoch key, "version" ‖ ids ‖ SHA-384(name), list of (contentId, SHA-384 of wrap)); of a multipart version it is in the part list. */
  readonly authenticator?: Buffer;
}

export interface PartEntry {
  readonly partNumber: number;
  readonly contentId: Buffer;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly checksum?: StoredChecksum;
}

/** Pages of at most 1,024 parts, in order; page 0xFFFFFFFF holds the version's authenticator instead. */
export interface PartListPage extends RecordBase {
  readonly parts: readonly PartEntry[];
  readonly authenticator?: Buffer;
}

export interface UploadRecord extends RecordBase, ObjectAttributes {
  readonly initiatedMs: number;
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: 'FULL_OBJECT' | 'COMPOSITE';
}

export interface PartRecord extends RecordBase {
  readonly contentId: Buffer;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly checksum?: StoredChecksum;
}

export const EXTENTS_PER_PAGE_MAX = 1024;
/** kind u8 ‖ stripeId 16 ‖ payload offset u32 ‖ sealed length u32 */
export const EXTENT_BYTES = 25;
export const EXTENT_KIND_DATA = 0;

export interface Extent {
  readonly stripeId: Buffer;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Page 0 of a content. The sealed stream is the concatenation of its extents, without its 56-byte header. */
export interface ContentRecord extends RecordBase {
  readonly suite: number;
  readonly bucketId: Buffer;
  readonly epochId: Buffer;
  /** Key generation (`keys.md`, Notation). */
  readonly generation: number;
  /** Plaintext bytes. */
  readonly sizeBytes: number;
  /** The stream's 56-byte header: salt and commitment. */
  readonly header: Buffer;
  /** Seal(epoch key, "wrap" ‖ …, content key). */
  readonly wrap: Buffer;
  /** Versions and uploads that point here. */
  readonly references: number;
  readonly extentCount: number;
  /** The first up to 1,024 extents, EXTENT_BYTES each. */
  readonly extents: Buffer;
}

export interface ContentPage extends RecordBase {
  readonly extents: Buffer;
}

export interface EpochRecord extends RecordBase {
  readonly suite: number;
  readonly generation: number;
  readonly createdMs: number;
  /** The epoch key under D(G, "epoch"); absent in a sealed bucket. */
  readonly symmetric?: Buffer;
  /** Recipients come with the recovery words; until then the list is empty. */
  readonly recipients: readonly {
    readonly publicKeyHash: Buffer;
    readonly enc: Buffer;
    readonly sealed: Buffer;
  }[];
  /** D(epoch key, "commit", 32). */
  readonly commitment: Buffer;
}

export interface StripeRecord extends RecordBase {
  readonly codec: number;
  readonly k: number;
  readonly m: number;
  readonly generation: number;
  /** Bytes of one fragment, trailer not counted. */
  readonly fragmentLengthBytes: number;
  /** Payload bytes before zero filling, padding included. */
  readonly stripeLengthBytes: number;
  /** Node of each fragment, by index; k + m entries. */
  readonly nodes: readonly number[];
  /** Bit i (byte i >> 3, bit i & 7) is set while fragment i is known to be good. */
  readonly good: Buffer;
  readonly createdMs: number;
  /** Since when a fragment has been known to be bad; present exactly while the stripe is in the repair queue. */
  readonly damagedMs?: number;
}

export interface TombRecord extends RecordBase {
  readonly k: number;
  readonly m: number;
  /** What is still to be deleted. */
  readonly fragments: readonly { readonly index: number; readonly node: number }[];
  readonly notBeforeMs: number;
}

export interface QueueRecord extends RecordBase {
  readonly reason: string;
}

/**
 * A delete that is too large for one commit, or waits for a reader: one reference to a content, the contents of a
 * multipart version or of an aborted upload, or the pages of a part list whose completion was never committed (its
 * contents still belong to the upload).
 */
export interface GarbageRecord extends RecordBase {
  readonly kind: 'content' | 'version' | 'upload' | 'partlist';
  /** contentId, versionId of the part list, or uploadId of the parts, still to be released. */
  readonly id: Buffer;
}

export type NodeAdminState = 'active' | 'draining' | 'lost';

/** How a node that is not in the gateway's process is reached. */
export interface NodeAddress {
  readonly transport: 'plain' | 'tls';
  readonly host: string;
  readonly port: number;
  readonly namespace: string;
  /** Seal(credentials, "node-password" ‖ …, password); absent when the namespace has none. */
  readonly secret?: Buffer;
  /** Over TLS: SHA-384 of the node's public key, 48 bytes. The namespace is then the one that the node keeps for this grid. */
  readonly fingerprint?: Buffer;
}

export interface NodeRecord extends RecordBase {
  /** Absent: embedded. */
  readonly kind?: 'holdfast' | 'zdb';
  readonly nodeUuid: string;
  /** Absent for embedded nodes. */
  readonly address?: NodeAddress;
  /** Directory of an embedded node: relative to the data directory when it lies below it, else absolute. */
  readonly path: string;
  /** Whether the directory was made on the data directory's own file system, where no disk can have come unmounted. */
  readonly onDataFilesystem: boolean;
  readonly farm: string;
  readonly site?: string;
  readonly country?: string;
  /** Share of new fragments relative to what is free; 1 when absent. */
  readonly weight?: number;
  /** The operator lets this node count although its answers do not mean stable storage. */
  readonly acceptNonDurable?: boolean;
  readonly state: NodeAdminState;
  readonly addedMs: number;
  /** The operator gave its place to this node; without it, a lost node that shows up again is taken back. */
  readonly replacedBy?: number;
  /** The operator took it out of the grid for good. */
  readonly removed?: boolean;
}

export const RECORD_FORMAT = 1;
const DAMAGED_HEAD_BYTES = 16;

export function encodeRecord<T extends RecordBase>(record: T): Buffer {
  return encoder.encode(record);
}

/** @throws FormatTooNew for a record of a later format; InternalError for bytes that are no record. */
export function decodeRecord<T extends RecordBase>(bytes: Uint8Array): T {
  const record = decodeMap(bytes) as T | { readonly v?: unknown } | null | undefined;
  const format = record?.v;
  if (format === RECORD_FORMAT) return record as T;
  if (typeof format === 'number' && format > RECORD_FORMAT) {
    throw new HoldfastError('FormatTooNew', {
      detail: `metadata record of format ${format}, this version reads ${RECORD_FORMAT}`,
    });
  }
  throw damagedRecord(bytes, 'it is not a map with a format in "v"');
}

function decodeMap(bytes: Uint8Array): unknown {
  try {
    return encoder.decode(bytes);
  } catch (cause) {
    throw damagedRecord(bytes, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** A record has no name of its own; its length and first field names say which it is, and hold nothing secret. */
function damagedRecord(bytes: Uint8Array, why: string, cause?: unknown): HoldfastError {
  const head = Buffer.from(bytes.subarray(0, DAMAGED_HEAD_BYTES)).toString('latin1');
  const shown = head.replace(/[^\x21-\x7e]/g, '.');
  return new HoldfastError('InternalError', {
    detail: `damaged metadata record of ${bytes.length} bytes that begins "${shown}": ${why}`,
    cause,
  });
}

export function encodeExtents(extents: readonly Extent[]): Buffer {
  const bytes = Buffer.alloc(extents.length * EXTENT_BYTES);
  extents.forEach((extent, i) => {
    const at = i * EXTENT_BYTES;
    bytes[at] = EXTENT_KIND_DATA;
    bytes.set(extent.stripeId, at + 1);
    bytes.writeUInt32BE(extent.offsetBytes, at + 17);
    bytes.writeUInt32BE(extent.lengthBytes, at + 21);
  });
  return bytes;
}

/** @throws InternalError for bytes that are no list of extents; FormatTooNew for a kind of extent not known here. */
export function decodeExtents(bytes: Buffer): Extent[] {
  if (bytes.length % EXTENT_BYTES !== 0) {
    throw new HoldfastError('InternalError', {
      detail: `damaged metadata record: extents of ${bytes.length} bytes, which is no multiple of ${EXTENT_BYTES}`,
    });
  }
  const extents: Extent[] = [];
  for (let at = 0; at < bytes.length; at += EXTENT_BYTES) {
    if (bytes[at] !== EXTENT_KIND_DATA) {
      throw new HoldfastError('FormatTooNew', {
        detail: `extent of kind ${bytes[at]}, this version reads ${EXTENT_KIND_DATA}`,
      });
    }
    extents.push({
      stripeId: Buffer.from(bytes.subarray(at + 1, at + 17)),
      offsetBytes: bytes.readUInt32BE(at + 17),
      lengthBytes: bytes.readUInt32BE(at + 21),
    });
  }
  return extents;
}
