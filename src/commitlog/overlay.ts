/**
 * What slots that are not yet durable change, in front of the metadata: the state that a commit made now is checked
 * against. Every entry belongs to the newest slot that wrote its key and goes when that slot is durable, so the overlay
 * is empty when nothing is in flight.
 */
import { mapKey } from '../base/bytes.ts';
import type { BatchOperation } from '../metadata/engine.ts';

/** `value` undefined: the key is deleted. */
export interface PendingValue {
  readonly value: Uint8Array | undefined;
}

interface Entry extends PendingValue {
  readonly key: Uint8Array;
  readonly slot: PendingSlot;
}

/** The changes of one slot, the last one of each key. */
export class PendingSlot {
  readonly counter: number;
  readonly entries = new Map<string, Entry>();

  constructor(counter: number) {
    this.counter = counter;
  }

  operations(): BatchOperation[] {
    return Array.from(this.entries.values(), ({ key, value }) =>
      value === undefined ? { type: 'del', key } : { type: 'put', key, value },
    );
  }
}

export class Overlay {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  get(id: string): PendingValue | undefined {
    return this.#entries.get(id);
  }

  set(slot: PendingSlot, key: Uint8Array, value: Uint8Array | undefined): void {
    const id = mapKey(key);
    const entry = { key, value, slot };
    slot.entries.set(id, entry);
    this.#entries.set(id, entry);
  }

  /** The slot is durable: what no later slot has overwritten is now read from the metadata. */
  drop(slot: PendingSlot): void {
    for (const [id, entry] of slot.entries) {
      if (this.#entries.get(id) === entry) this.#entries.delete(id);
    }
  }

  /** Gives up every slot but `kept`. */
  rollBackTo(kept: PendingSlot): void {
    this.#entries.clear();
    for (const [id, entry] of kept.entries) this.#entries.set(id, entry);
  }
}
