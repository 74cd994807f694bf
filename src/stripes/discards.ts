/**
 * Deletes fragments that nobody needs, in the background: positions that were given up, and copies of fragments that lie elsewhere. One
 * queue for each node, so that a node that hangs holds up only its own. Whatever is dropped here is found by the orphan sweep.
 */
import type { FragmentAddress } from './surgery.ts';

/** Fragments that wait for one node; beyond it they are left to the orphan sweep. */
const DISCARDS_PER_NODE_MAX = 20_000;
const DISCARDS_PER_STEP_MAX = 500;

export interface Discarded extends FragmentAddress {
  /** The put is late: the delete waits for its end, else it would come first and do nothing. */
  readonly ended: Promise<unknown> | undefined;
}

export class Discards {
  readonly #delete: (addresses: readonly FragmentAddress[]) => Promise<unknown>;
  readonly #queues = new Map<number, FragmentAddress[]>();

  constructor(deleteFragments: (addresses: readonly FragmentAddress[]) => Promise<unknown>) {
    this.#delete = deleteFragments;
  }

  add(fragments: readonly Discarded[]): void {
    for (const { stripeId, index, node, ended } of fragments) {
      const address = { stripeId, index, node };
      if (ended === undefined) this.#enqueue(address);
      else void ended.then(() => this.#enqueue(address));
    }
  }

  #enqueue(address: FragmentAddress): void {
    const queue = this.#queues.get(address.node);
    if (queue === undefined) {
      this.#queues.set(address.node, [address]);
      void this.#run(address.node);
    } else if (queue.length < DISCARDS_PER_NODE_MAX) queue.push(address);
  }

  async #run(node: number): Promise<void> {
    const queue = this.#queues.get(node) ?? [];
    try {
      // One turn later, so that what is discarded together is deleted together.
      await Promise.resolve();
      while (queue.length > 0) await this.#delete(queue.splice(0, DISCARDS_PER_STEP_MAX));
    } catch {
      // The orphan sweep finds what is left.
    } finally {
      this.#queues.delete(node);
    }
  }
}
