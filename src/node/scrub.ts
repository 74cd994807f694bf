/**
 * Reads everything again, oldest first, and compares it to the roots in the trailers: rot is found before the redundancy is
 * needed. In steps with a budget of bytes; the cursor is kept in `scrub.json`, so that a restart goes on where it was.
 * A record whose header rotted is unreachable after the next start: when its value is still whole it is written anew.
 * In the gateway the healer's scrub asks for each fragment by name (`verify`), which finds rotten values; rotten headers
 * it finds only as missing fragments after the next start. The node daemon of the next step runs this one.
 */
import { HoldfastError } from '../base/errors.ts';
import { type Address, addressOf, copyOf } from './address.ts';
import type { Location, NodeCore } from './core.ts';
import type { Disk } from './disk.ts';
import { replaceFile } from './identity.ts';
import { FLAG_DELETE, FLAG_VOID, SEGMENT_HEADER_BYTES } from './segmentformat.ts';
import type { Segment } from './segments.ts';
import { SegmentScanner } from './segmentscan.ts';

export const SCRUB_FILE = 'scrub.json';
/** Fragments looked at in one round at most; bounds the memory for their names. */
const ROUND_RECORDS_MAX = 4096;

export interface ScrubCursor {
  readonly segment: number;
  readonly offset: number;
}

export interface ScrubProgress {
  readonly verifiedFragments: number;
  readonly verifiedBytes: number;
  /** Keys of values that do not match their trailers or CRCs. */
  readonly corrupt: readonly Buffer[];
  /** Fragments written anew because only their header was damaged. */
  readonly rewritten: number;
  /** Where the next step goes on; undefined at the end of a pass. */
  readonly next: ScrubCursor | undefined;
}

interface Found {
  readonly address: Address;
  readonly location: Location;
  readonly headerDamaged: boolean;
}

/** Verifies about `budgetBytes` (at least one fragment) from `cursor`, or from the oldest segment. */
export async function scrubStep(
  core: NodeCore,
  cursor: ScrubCursor | undefined,
  budgetBytes: number,
): Promise<ScrubProgress> {
  const segment = core.segments.all().find((other) => other.number >= (cursor?.segment ?? 0));
  if (!segment) return { verifiedFragments: 0, verifiedBytes: 0, corrupt: [], rewritten: 0, next: undefined };
  const from = cursor?.segment === segment.number ? cursor.offset : SEGMENT_HEADER_BYTES;
  const { found, offset } = await collect(core, segment, from, budgetBytes);
  const corrupt: Buffer[] = [];
  let verifiedBytes = 0;
  let rewritten = 0;
  for (const { address, location, headerDamaged } of found) {
    if (!core.isAt(address, location)) continue;
    verifiedBytes += location.lengthBytes;
    const intact = await core.isAsStored(location);
    if (!core.isAt(address, location)) continue;
    if (!intact) corrupt.push(Buffer.from(address.key));
    else if (headerDamaged) rewritten += (await core.move(address, location)) > 0 ? 1 : 0;
  }
  const finished = offset >= segment.sizeBytes;
  const next = finished ? { segment: segment.number + 1, offset: 0 } : { segment: segment.number, offset };
  const more = !finished || core.segments.all().some((other) => other.number > segment.number);
  return {
    verifiedFragments: found.length,
    verifiedBytes,
    corrupt,
    rewritten,
    next: more ? next : undefined,
  };
}

async function collect(
  core: NodeCore,
  segment: Segment,
  from: number,
  budgetBytes: number,
): Promise<{ found: Found[]; offset: number }> {
  const found: Found[] = [];
  const damaged: { from: number; to: number }[] = [];
  let collectedBytes = 0;
  const file = await core.segments.hold(segment);
  try {
    const scanner = new SegmentScanner(file, segment.crcSeed, segment.sizeBytes);
    const offset = await scanner.scan(from, {
      record: (header, key, at) => {
        if (header.flags & (FLAG_VOID | FLAG_DELETE)) return undefined;
        const { keyLengthBytes, valueLengthBytes: lengthBytes } = header;
        const location = { segment, offset: at, lengthBytes, keyLengthBytes };
        const address = addressOf(header.namespace, key);
        if (!core.isAt(address, location)) return undefined;
        found.push({ address: copyOf(address), location, headerDamaged: false });
        collectedBytes += header.valueLengthBytes;
        return collectedBytes < budgetBytes && found.length < ROUND_RECORDS_MAX;
      },
      damage: (start, end) => {
        damaged.push({ from: start, to: end });
      },
    });
    for (const region of damaged) found.push(...(await knownIn(core, segment, region)));
    return { found, offset };
  } finally {
    core.segments.release(segment);
  }
}

/** Fragments that the index knows in a region where no good header was found. */
async function knownIn(
  core: NodeCore,
  segment: Segment,
  region: { from: number; to: number },
): Promise<Found[]> {
  const { index } = core;
  const found: Found[] = [];
  for (let id = 0; id < index.entryLimit; id++) {
    if (!index.isLive(id) || index.segment(id) !== segment.number) continue;
    const offset = index.offset(id);
    if (offset < region.from || offset >= region.to) continue;
    const address = await core.addressOfEntry(id);
    if (address !== undefined) found.push({ address, location: core.locationOf(id), headerDamaged: true });
  }
  return found;
}

/** The kept cursor; undefined when there is none or it cannot be read, which only means to begin anew. */
export async function loadScrubCursor(disk: Disk, directory: string): Promise<ScrubCursor | undefined> {
  try {
    const value: unknown = JSON.parse((await disk.readFile(`${directory}/${SCRUB_FILE}`)).toString('utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    if (!('segment' in value) || !Number.isSafeInteger(value.segment)) return undefined;
    if (!('offset' in value) || !Number.isSafeInteger(value.offset)) return undefined;
    return { segment: value.segment as number, offset: value.offset as number };
  } catch {
    return undefined;
  }
}

/** @throws NodeUnavailable when it cannot be written */
export async function saveScrubCursor(
  disk: Disk,
  directory: string,
  cursor: ScrubCursor | undefined,
): Promise<void> {
  try {
    await replaceFile(disk, directory, SCRUB_FILE, Buffer.from(JSON.stringify(cursor ?? {})));
  } catch (cause) {
    throw new HoldfastError('NodeUnavailable', {
      detail: `${directory}/${SCRUB_FILE} cannot be written`,
      cause,
    });
  }
}
