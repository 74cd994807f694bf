/**
 * Whether an open node serves, and why not: it was closed, its disk failed, its directory went away, there is no room. Everything that
 * touches its records asks here first.
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { CapacityKeeper } from './capacity.ts';
import { directoryGone } from './committer.ts';
import type { NodeCore } from './core.ts';
import type { Disk } from './disk.ts';
import { readIdentity } from './identity.ts';

/** While the node is in use its directory is looked at at least this often. */
const DIRECTORY_CHECK_MS_MAX = 250;

export interface GuardParts {
  readonly disk: Disk;
  readonly directory: string;
  readonly clock: Clock;
  readonly nodeUuid: string;
  readonly core: NodeCore;
  readonly capacity: CapacityKeeper;
}

export class Guard {
  readonly nodeUuid: string;
  readonly directory: string;
  readonly #parts: GuardParts;
  #closed = false;
  #checkedAtMs: number;
  #checking: Promise<void> | undefined;

  constructor(parts: GuardParts) {
    this.#parts = parts;
    this.nodeUuid = parts.nodeUuid;
    this.directory = parts.directory;
    this.#checkedAtMs = parts.clock.monotonicMs();
  }

  /** Why the node does not serve; undefined when it does. Sees to it that its directory is looked at while it is used. */
  refusal(): HoldfastError | undefined {
    if (this.#closed) return this.stopped();
    const { ended } = this.#parts.core.committer;
    if (ended) return ended;
    if (this.#parts.clock.monotonicMs() - this.#checkedAtMs > DIRECTORY_CHECK_MS_MAX && !this.#checking) {
      this.checkDirectory().catch(() => {});
    }
    return undefined;
  }

  /** @throws why the node does not serve */
  assertServing(): void {
    const refusal = this.refusal();
    if (refusal) throw refusal;
  }

  async serving<T>(work: () => Promise<T>): Promise<T> {
    this.assertServing();
    return this.orUnavailable(work());
  }

  async orUnavailable<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw error instanceof HoldfastError ? error : this.unavailable(error);
    }
  }

  /** Looks whether the directory is still this node's; if not, the node ends. @throws why the node does not serve */
  checkDirectory(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  /** @throws NodeFull when `queuedBytes` more would use up the reserve */
  admit(queuedBytes: number): void {
    const { capacity, core } = this.#parts;
    if (capacity.admits(queuedBytes, core.segments.totalBytes)) return;
    throw new HoldfastError('NodeFull', {
      detail: `node ${this.nodeUuid} in ${this.directory} has only its reserve left`,
    });
  }

  unavailable(cause: unknown): HoldfastError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new HoldfastError('NodeUnavailable', {
      detail: `node directory ${this.directory}: the disk returned an error (${reason})`,
      cause,
    });
  }

  stopped(): HoldfastError {
    return new HoldfastError('NodeUnavailable', { detail: `node ${this.nodeUuid} is stopped` });
  }

  /** False when it was closed already. */
  close(): boolean {
    if (this.#closed) return false;
    this.#closed = true;
    return true;
  }

  async #check(): Promise<void> {
    const { clock, disk, core } = this.#parts;
    this.#checkedAtMs = clock.monotonicMs();
    try {
      const identity = await readIdentity(disk, this.directory);
      if (identity.nodeUuid !== this.nodeUuid) throw directoryGone(this.directory);
      const active = core.segments.active?.file;
      if (active && (await active.linkCount()) === 0) throw directoryGone(this.directory);
    } catch (error) {
      if (this.#closed) return;
      core.committer.end(
        hasCode(error, 'NodeUnavailable', 'FormatTooNew')
          ? directoryGone(this.directory)
          : this.unavailable(error),
      );
    }
    this.assertServing();
  }
}
