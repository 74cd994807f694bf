/** Bounds of object bodies, and the checksum that a part must have when its upload names an algorithm. */
import { defined } from '../../../base/assert.ts';
import { HoldfastError } from '../../../base/errors.ts';
import { GIB } from '../../../base/units.ts';
import type { ChecksumAlgorithm } from '../../../metadata/records.ts';
import type { IncomingBody } from '../../../objects/types.ts';
import { digestOf } from '../../headers-checksums.ts';

/** AWS: one PutObject or UploadPart. */
export const BODY_BYTES_MAX = 5 * GIB;

/** Refuses an announced length before the body is sent; one that is not announced is bounded where it is read. */
export function checkBodySize(body: IncomingBody): void {
  const { lengthBytes } = body;
  if (lengthBytes === undefined || lengthBytes <= BODY_BYTES_MAX) return;
  throw new HoldfastError('EntityTooLarge', {
    fields: { ProposedSize: String(lengthBytes), MaxSizeAllowed: String(BODY_BYTES_MAX) },
  });
}

/**
 * The same body, with the checksum computed here when the client did not send one. AWS refuses such parts;
 * completing needs the value of every part, and older SDKs leave it out.
 */
export function withChecksum(body: IncomingBody, algorithm: ChecksumAlgorithm): IncomingBody {
  const digest = digestOf(algorithm);
  const algorithms = body.algorithms.includes(digest) ? body.algorithms : [...body.algorithms, digest];
  return {
    lengthBytes: body.lengthBytes,
    algorithms,
    signal: body.signal,
    [Symbol.asyncIterator]: () => body[Symbol.asyncIterator](),
    verify: (digests) =>
      body.verify(digests) ?? {
        algorithm,
        value: defined(digests[digest], digest).toString('base64'),
        type: 'FULL_OBJECT',
      },
  };
}
