/**
 * A node in the gateway's own process that can be stopped, started and restarted while everybody holds on to the same
 * FragmentStore. While it is stopped, or could not be started, every call answers NodeUnavailable with the reason.
 */
import { HoldfastError } from '../base/errors.ts';
import type { CompactionProgress } from './compaction.ts';
import type { FragmentStore, HeldBytes, ListPage, NodeHello } from './fragmentstore.ts';
import type { ScrubProgress } from './scrub.ts';
import { type NodeOptions, NodeStore } from './store.ts';

export class EmbeddedNode implements FragmentStore {
  readonly options: NodeOptions;
  #store: NodeStore | undefined;
  #reason: HoldfastError;
  #transition: Promise<unknown> = Promise.resolve();

  constructor(options: NodeOptions) {
    this.options = options;
    this.#reason = new HoldfastError('NodeUnavailable', {
      detail: `the node in ${options.directory} is stopped`,
    });
  }

  get running(): boolean {
    return this.#store !== undefined;
  }

  /** The open node. @throws NodeUnavailable, or why it could not be started */
  get store(): NodeStore {
    if (!this.#store) throw this.#reason;
    return this.#store;
  }

  /**
   * Opens the directory; no effect on a running node. `initialise` overrides the option of the same name.
   * @throws NodeUnavailable or FormatTooNew with the reason, which later calls answer too
   */
  start(initialise = this.options.initialise ?? false): Promise<void> {
    return this.#then(async () => {
      if (this.#store) return;
      try {
        this.#store = await NodeStore.open({ ...this.options, initialise });
      } catch (error) {
        this.#reason = this.#asHoldfast(error);
        throw this.#reason;
      }
    });
  }

  /** Lets what was accepted finish and closes the directory. */
  stop(): Promise<void> {
    return this.#then(async () => {
      const store = this.#store;
      this.#store = undefined;
      this.#reason = new HoldfastError('NodeUnavailable', {
        detail: `the node in ${this.options.directory} is stopped`,
      });
      await store?.close();
    });
  }

  async hello(): Promise<NodeHello> {
    return this.store.hello();
  }

  async put(name: Uint8Array, pieces: readonly Uint8Array[]): Promise<void> {
    return this.store.put(name, pieces);
  }

  async read(name: Uint8Array, offsetBytes: number, target: Uint8Array): Promise<void> {
    return this.store.read(name, offsetBytes, target);
  }

  hold(name: Uint8Array, offsetBytes: number, lengthBytes: number): HeldBytes | undefined {
    return this.#store?.hold(name, offsetBytes, lengthBytes);
  }

  async length(name: Uint8Array): Promise<number | undefined> {
    return this.store.length(name);
  }

  async delete(names: readonly Uint8Array[]): Promise<number> {
    return this.store.delete(names);
  }

  async list(after: Uint8Array | undefined, limit: number): Promise<ListPage> {
    return this.store.list(after, limit);
  }

  async verify(name: Uint8Array): Promise<'intact' | 'corrupt' | 'missing'> {
    return this.store.verify(name);
  }

  /** @throws why the node does not serve, when its directory is gone or it has ended */
  async checkDirectory(): Promise<void> {
    return this.store.checkDirectory();
  }

  async compactStep(budgetBytes: number): Promise<CompactionProgress> {
    return this.store.compactStep(budgetBytes);
  }

  /** Goes on with the scrub where the last step, possibly before a restart, left off. `next` undefined: a pass is done. */
  async scrubStep(budgetBytes: number): Promise<ScrubProgress> {
    const store = this.store;
    const progress = await store.scrubStep(await store.loadScrubCursor(), budgetBytes);
    await store.saveScrubCursor(progress.next);
    return progress;
  }

  #then<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#transition.then(work);
    this.#transition = done.catch(() => {});
    return done;
  }

  #asHoldfast(error: unknown): HoldfastError {
    if (error instanceof HoldfastError) return error;
    const reason = error instanceof Error ? error.message : String(error);
    return new HoldfastError('NodeUnavailable', {
      detail: `the node in ${this.options.directory} cannot be opened (${reason})`,
      cause: error,
    });
  }
}
