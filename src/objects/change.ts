/**
 * One commit under construction: operations, preconditions and counter changes, so that the leaves of a larger
 * operation (put a content, release another) can each add their part. Changes of one counter are summed.
 *
 * A stripe whose live bytes reach 0 through this commit, although the plan did not foresee it (others released their
 * share in the same instant), is reported to the caller, who buries it in a commit of its own.
 */
import { mapKey } from '../base/bytes.ts';
import type { CommitOperation, Committer, Precondition } from '../commitlog/commit.ts';
import { keys } from '../metadata/keys.ts';

interface CounterChange {
  readonly key: Buffer;
  delta: number;
  /** Set for live counters. */
  readonly stripeId: Buffer | undefined;
}

export class Change {
  readonly #operations: CommitOperation[] = [];
  readonly #preconditions: Precondition[] = [];
  readonly #counters = new Map<string, CounterChange>();

  put(key: Uint8Array, value: Uint8Array): void {
    this.#operations.push({ type: 'put', key, value });
  }

  delete(key: Uint8Array): void {
    this.#operations.push({ type: 'del', key });
  }

  expect(key: Uint8Array, value: Uint8Array | undefined): void {
    this.#preconditions.push({ key, expect: value });
  }

  require(precondition: Precondition): void {
    this.#preconditions.push(precondition);
  }

  add(key: Buffer, delta: number): void {
    this.#add(key, delta, undefined);
  }

  addLive(stripeId: Buffer, deltaBytes: number): void {
    this.#add(keys.live(stripeId), deltaBytes, stripeId);
  }

  #add(key: Buffer, delta: number, stripeId: Buffer | undefined): void {
    const id = mapKey(key);
    const known = this.#counters.get(id);
    if (known === undefined) this.#counters.set(id, { key, delta, stripeId });
    else known.delta += delta;
  }

  get isEmpty(): boolean {
    return this.#operations.length === 0 && this.#counters.size === 0;
  }

  get operationCount(): number {
    return this.#operations.length + this.#counters.size;
  }

  /** Commits once; returns the stripes whose live counter this brought to 0. @throws CommitConflict */
  async commit(committer: Committer): Promise<Buffer[]> {
    const changed = [...this.#counters.values()].filter(({ delta }) => delta !== 0);
    const operations = [
      ...this.#operations,
      ...changed.map(({ key, delta }) => ({ type: 'add', key, delta }) as const),
    ];
    const result = await committer.commit(operations, this.#preconditions);
    const emptied: Buffer[] = [];
    changed.forEach(({ stripeId, delta }, i) => {
      if (stripeId !== undefined && delta < 0 && result.counters[i] === 0) emptied.push(stripeId);
    });
    return emptied;
  }
}
