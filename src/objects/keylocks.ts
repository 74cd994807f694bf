/**
 * Turns for writers of one key, first come first served, so that a hundred PUTs of one name take a hundred commits and not
 * five thousand tries. Only a courtesy inside this process: what is right is decided by the preconditions of the commit.
 */
import { mapKey } from '../base/bytes.ts';

export class KeyLocks {
  readonly #tails = new Map<string, Promise<void>>();

  /** Resolves when it is the caller's turn, with the function that ends it. */
  async acquire(key: Uint8Array): Promise<() => void> {
    const id = mapKey(key);
    const before = this.#tails.get(id);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#tails.set(id, promise);
    if (before !== undefined) await before;
    return () => {
      if (this.#tails.get(id) === promise) this.#tails.delete(id);
      resolve();
    };
  }
}
