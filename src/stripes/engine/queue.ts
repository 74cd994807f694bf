/**
 * A queue of lanes that take turns: each lane is first in, first out, and no lane waits for more than one item of each other
 * lane. Items may be taken back while they wait.
 */
export interface Cancellable {
  /** True once the item no longer wants its turn. */
  readonly cancelled: boolean;
}

export class FairQueue<T extends Cancellable> {
  /** In order of turn. */
  readonly #lanes = new Map<number | string, T[]>();

  push(lane: number | string, item: T): void {
    const items = this.#lanes.get(lane);
    if (items) items.push(item);
    else this.#lanes.set(lane, [item]);
  }

  /** The first item of the lane whose turn it is. */
  shift(): T | undefined {
    for (const [lane, items] of this.#lanes) {
      this.#lanes.delete(lane);
      const item = shiftLive(items);
      if (items.length > 0) this.#lanes.set(lane, items);
      if (item) return item;
    }
    return undefined;
  }

  /** Empties the queue. */
  drain(): T[] {
    const items = [...this.#lanes.values()].flat().filter((item) => !item.cancelled);
    this.#lanes.clear();
    return items;
  }
}

function shiftLive<T extends Cancellable>(items: T[]): T | undefined {
  for (let item = items.shift(); item; item = items.shift()) if (!item.cancelled) return item;
  return undefined;
}
