/** Names of the digests that S3 speaks of. Values are raw bytes, big-endian for the CRCs. */
export const digestAlgorithms = ['md5', 'sha1', 'sha256', 'crc32', 'crc32c', 'crc64nvme'] as const;
export type DigestAlgorithm = (typeof digestAlgorithms)[number];

/** Of one body: exactly those that were asked for. */
export type BodyDigests = { readonly [A in DigestAlgorithm]?: Buffer };
