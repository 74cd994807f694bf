/**
 * A whole request body in memory, for XML documents: bounded, and verified like any other body before it is parsed.
 */
import { HoldfastError } from '../base/errors.ts';
import { digestNow } from '../coding/digest.ts';
import type { BodyClaims } from './checksums.ts';
import type { RequestBody } from './incomingbody.ts';

/** @throws MaxMessageLengthExceeded, and what RequestBody throws */
export async function readDocument(body: RequestBody, claims: BodyClaims, bytesMax: number): Promise<Buffer> {
  if ((body.lengthBytes ?? 0) > bytesMax) throw tooLong(bytesMax);
  const pieces: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const piece of body) {
    lengthBytes += piece.length;
    if (lengthBytes > bytesMax) throw tooLong(bytesMax);
    pieces.push(piece);
  }
  const document = Buffer.concat(pieces, lengthBytes);
  if (claims.algorithms.length > 0) body.verify(digestNow(claims.algorithms, document));
  return document;
}

function tooLong(bytesMax: number): HoldfastError {
  return new HoldfastError('MaxMessageLengthExceeded', {
    fields: { MaxMessageLengthBytes: String(bytesMax) },
  });
}
