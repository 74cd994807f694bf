/**
 * ETags. In most buckets that of a simple object or part is the MD5 of its bytes, as at S3. A bucket may choose opaque ones, and
 * then nobody computes an MD5 that no client asked for: it is the slowest step of a PUT.
 *
 * An opaque ETag is 16 random bytes in hexadecimal and `-0`. Clients that hold an ETag against the MD5 of what they sent or got
 * (rclone, s3cmd, AWS's SDK for Java 1) leave one with a dash alone, because a multipart object has one. But such a number is
 * the count of parts, and some tools compute the ETag of so many parts again; no upload has 0 of them, so nobody tries.
 * AWS itself answers with ETags that are no MD5 where SSE-KMS or SSE-C is on.
 *
 * The bucket's setting counts for what is written after it; what is there keeps its ETag. A request follows the setting that it
 * found when it began.
 */
import { createHash } from 'node:crypto';
import { defined } from '../base/assert.ts';
import type { Random } from '../base/random.ts';
import type { BodyDigests, DigestAlgorithm } from '../coding/digests.ts';
import type { BucketRecord } from '../metadata/records.ts';
import type { EtagKind } from './types.ts';

const RANDOM_BYTES = 16;
/** Of an MD5, and of the part of an opaque ETag before its dash. */
const HEX_CHARACTERS = 32;

export function etagKindOf(record: BucketRecord): EtagKind {
  return record.etags ?? 'md5';
}

export function opaqueEtag(random: Random): string {
  return `${random.bytes(RANDOM_BYTES).toString('hex')}-0`;
}

/** What must be computed of a body: what its client claims or asks for, and what its ETag is made of. */
export function digestsFor(kind: EtagKind, asked: readonly DigestAlgorithm[]): readonly DigestAlgorithm[] {
  return kind === 'opaque' || asked.includes('md5') ? asked : ['md5', ...asked];
}

/** The ETag of a body whose digests are those of `digestsFor`. */
export function etagOfBody(kind: EtagKind, digests: BodyDigests, random: Random): string {
  return kind === 'opaque' ? opaqueEtag(random) : defined(digests.md5, 'md5').toString('hex');
}

/** Whether an ETag is the MD5 of the bytes: not an opaque one, nor that of a multipart object. */
export function isMd5Etag(etag: string): boolean {
  return /^[0-9a-f]{32}$/.test(etag);
}

/**
 * That of a multipart object, whatever its bucket has chosen: the MD5 over the 16 bytes that each part's ETag stands for, and
 * the count of parts. Where the parts' ETags are MD5s it is S3's; where they are opaque it is as cheap, and as unlike any other.
 */
export function multipartEtag(etags: readonly string[]): string {
  const md5 = createHash('md5');
  for (const etag of etags) md5.update(Buffer.from(etag.slice(0, HEX_CHARACTERS), 'hex'));
  return `${md5.digest('hex')}-${etags.length}`;
}
