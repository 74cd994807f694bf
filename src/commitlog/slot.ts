/**
 * A slot: the unit that becomes durable at once (design/commits.md, "The log"). Slots are ordered by (term, start,
 * counter); within a start, counters are dense from 1, since 0 is the record that opens a term. `applied` is the newest
 * slot whose changes the metadata holds, written in the same batch as these.
 */
import { assert } from '../base/assert.ts';
import type { BatchOperation, MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import type { Slot } from './commit.ts';

export const SLOT_BYTES = 12;
export const FIRST_COUNTER = 1;
/** Some weeks of the fastest disks; the next start begins anew. */
export const COUNTER_MAX = 0xffff_0000;
export const APPLIED_KEY = keys.singleton('applied');

/** term u32 ‖ start u32 ‖ counter u32, big-endian: bytes sort as slots do. */
export function encodeSlot(slot: Slot): Buffer {
  const bytes = Buffer.alloc(SLOT_BYTES);
  bytes.writeUInt32BE(slot.term, 0);
  bytes.writeUInt32BE(slot.start, 4);
  bytes.writeUInt32BE(slot.counter, 8);
  return bytes;
}

export function decodeSlot(bytes: Buffer): Slot {
  assert(bytes.length === SLOT_BYTES, `a slot has ${SLOT_BYTES} bytes, not ${bytes.length}`);
  return { term: bytes.readUInt32BE(0), start: bytes.readUInt32BE(4), counter: bytes.readUInt32BE(8) };
}

/**
 * Where slots go. When `write` resolves, the slot survives any crash and its operations are visible to readers of the
 * metadata. When it rejects, nobody knows; the committer calls it again with the same slot and the same operations
 * until it resolves. One call is in flight at a time.
 */
export interface SlotWriter {
  write(slot: Slot, operations: readonly BatchOperation[]): Promise<void>;
}

/** Without a commit log the metadata itself is the log: one synced batch per slot. */
export function engineSlotWriter(engine: MetadataEngine): SlotWriter {
  return {
    write: (slot, operations) =>
      engine.batch([...operations, { type: 'put', key: APPLIED_KEY, value: encodeSlot(slot) }], {
        sync: true,
      }),
  };
}

/** The newest slot that the metadata holds; undefined before the first commit. */
export async function readApplied(engine: MetadataEngine): Promise<Slot | undefined> {
  const bytes = await engine.get(APPLIED_KEY);
  return bytes && decodeSlot(bytes);
}
