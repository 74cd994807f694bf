/** One operation at a time per name; others wait their turn. Bounded by the operations in flight. */
export class KeyTurns {
  readonly #busy = new Map<string, Promise<void>>();

  /** Resolves to the function that ends the turn. */
  async enter(key: string): Promise<() => void> {
    for (let before = this.#busy.get(key); before; before = this.#busy.get(key)) await before;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#busy.set(key, promise);
    return () => {
      this.#busy.delete(key);
      resolve();
    };
  }
}
