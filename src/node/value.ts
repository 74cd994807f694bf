/** Whole values, read with their record and checked before anybody sees them. */
import type { Address } from './address.ts';
import { LOOKUPS_MAX, type Location, type NodeCore } from './core.ts';
import { crc32c } from './crc32c.ts';
import {
  decodeRecord,
  emptyRecordHeader,
  FLAG_DELETE,
  FLAG_VALUE_CRC,
  FLAG_VOID,
  RECORD_HEADER_BYTES,
  type RecordHeader,
} from './segmentformat.ts';
import { storedFragmentIsIntact } from './trailercheck.ts';

export interface WholeRecord {
  readonly header: RecordHeader;
  readonly key: Buffer;
  readonly value: Buffer;
}

/** The value under an address; undefined when there is none, 'corrupt' when it is not what was stored. @throws the disk's error */
export async function readValue(core: NodeCore, address: Address): Promise<Buffer | undefined | 'corrupt'> {
  for (let lookup = 1; ; lookup++) {
    const location = core.locate(address);
    if (location === undefined) return undefined;
    const record = await readRecord(core, location).catch((error: unknown) => {
      if (core.isAt(address, location) || lookup >= LOOKUPS_MAX) throw error;
      return undefined;
    });
    if (record !== undefined && Buffer.compare(record.key, address.key) === 0) return record.value;
    if (core.isAt(address, location) || lookup >= LOOKUPS_MAX) return 'corrupt';
  }
}

/** A whole record of a value; undefined when it is not what was stored. @throws the disk's error, but for EIO */
export async function readRecord(core: NodeCore, location: Location): Promise<WholeRecord | undefined> {
  const headBytes = RECORD_HEADER_BYTES + location.keyLengthBytes;
  const bytes = Buffer.allocUnsafeSlow(headBytes + location.lengthBytes);
  try {
    const count = await core.segments.read(location.segment, bytes, location.offset);
    if (count < bytes.length) return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return undefined;
    throw error;
  }
  const header = emptyRecordHeader();
  if (!decodeRecord(bytes, 0, location.offset, location.segment.crcSeed, header)) return undefined;
  if (header.flags & (FLAG_DELETE | FLAG_VOID) || header.valueLengthBytes !== location.lengthBytes)
    return undefined;
  const value = bytes.subarray(headBytes);
  const intact =
    header.flags & FLAG_VALUE_CRC
      ? crc32c(value) === header.valueCrc
      : storedFragmentIsIntact(value, header.valueCrc);
  return intact ? { header, key: bytes.subarray(RECORD_HEADER_BYTES, headBytes), value } : undefined;
}
