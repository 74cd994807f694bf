/** How a range of a stripe's payload is cut into parts of its data fragments. */
import { HoldfastError } from '../base/errors.ts';
import type { StripeRecord } from '../metadata/records.ts';

export interface FragmentPiece {
  readonly index: number;
  /** Within the fragment. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Within the range that is read. */
  readonly targetBytes: number;
}

/** Which bytes of which data fragments a payload range is made of. */
export function piecesOf(record: StripeRecord, offsetBytes: number, lengthBytes: number): FragmentPiece[] {
  const f = record.fragmentLengthBytes;
  if (lengthBytes <= 0 || offsetBytes + lengthBytes > record.k * f) {
    throw new HoldfastError('InternalError', { detail: 'a content points behind the end of its stripe' });
  }
  const pieces: FragmentPiece[] = [];
  for (let at = offsetBytes; at < offsetBytes + lengthBytes; ) {
    const index = Math.floor(at / f);
    const within = at - index * f;
    const taken = Math.min(f - within, offsetBytes + lengthBytes - at);
    pieces.push({ index, offsetBytes: within, lengthBytes: taken, targetBytes: at - offsetBytes });
    at += taken;
  }
  return pieces;
}
