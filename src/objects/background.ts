/** Work that no client waits for: burying emptied stripes, collecting garbage. Failures are told, never thrown. */
export class Background {
  readonly #onError: (error: unknown) => void;
  readonly #running = new Set<Promise<void>>();

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  run(task: () => Promise<unknown>): void {
    const running: Promise<void> = task()
      .then(
        () => {},
        (error: unknown) => this.#onError(error),
      )
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
