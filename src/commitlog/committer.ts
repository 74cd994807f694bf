/**
 * The one committer (design/commits.md, "Who decides"). Commits are decided strictly in the order they came, against the
 * metadata plus what is in flight. Group commit needs no timer: while one slot is being written, everything else gathers
 * in the next.
 *
 * Why a decision is never stale: only `#decideWaiting` changes the overlay, and it awaits nothing between looking at the
 * overlay and deciding except reads of keys that were not in it. Such a key is changed by no slot in flight, so what is
 * read stays true until the decision; a key that was in the overlay is remembered with the value it had there, since its
 * slot may become durable meanwhile, which does not change the value.
 *
 * A slot whose write fails is written again, the same slot with identical operations, until it succeeds. Meanwhile new
 * commits, and those that were waiting or gathered behind it, get ServiceUnavailable; those in the failed slot wait, since
 * nobody knows yet whether they happened. So a commit that rejects was not made and never will be: its caller may undo.
 */
import { assert } from '../base/assert.ts';
import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { MIB, SECOND_MS } from '../base/units.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import type { CommitOperation, CommitResult, Committer, Precondition, Slot } from './commit.ts';
import { type Decision, decide, keysNeeded } from './decide.ts';
import { Overlay, PendingSlot } from './overlay.ts';
import { COUNTER_MAX, FIRST_COUNTER, type SlotWriter } from './slot.ts';
import type { Token } from './term.ts';

/** One slot holds at most so many commits … */
export const SLOT_COMMITS_MAX = 1024;
/** … and so many bytes of keys and values. */
export const SLOT_BYTES_MAX = MIB;
/** A commit may be larger than a slot's limit, and then has a slot to itself; beyond this it is a mistake. */
export const COMMIT_BYTES_MAX = 16 * MIB;
/** Commits not yet in a slot: more are refused with SlowDown. */
export const COMMITS_WAITING_MAX = 16_384;
export const WAITING_BYTES_MAX = 64 * MIB;
const RETRY_DELAY_MS_MIN = 10;
const RETRY_DELAY_MS_MAX = 5 * SECOND_MS;

export interface CommitterOptions {
  readonly engine: MetadataEngine;
  readonly writer: SlotWriter;
  readonly clock: Clock;
  /** From openTerm. */
  readonly token: Token;
  /** Told of every failed attempt to write a slot, for the log. */
  readonly onFailure?: (error: unknown, slot: Slot, attempt: number) => void;
}

interface Request {
  readonly operations: readonly CommitOperation[];
  readonly preconditions: readonly Precondition[];
  readonly bytes: number;
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: unknown) => void;
}

interface Decided {
  readonly request: Request;
  readonly counters: readonly number[];
}

interface GatheringSlot {
  readonly pending: PendingSlot;
  readonly commits: Decided[];
  bytes: number;
}

export class SlotCommitter implements Committer {
  readonly #options: CommitterOptions;
  readonly #overlay = new Overlay();
  #waiting: Request[] = [];
  #waitingBytes = 0;
  #gathering: GatheringSlot | undefined;
  #inFlight: GatheringSlot | undefined;
  #nextCounter = FIRST_COUNTER;
  #deciding = false;
  #stalled = false;
  #closed: Promise<void> | undefined;
  readonly #closing = new AbortController();
  #idle: (() => void)[] = [];

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** True while a slot cannot be written and commits are refused. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** Commits in no slot yet, and keys in the overlay. Both are 0 at rest. */
  get load(): { readonly waitingCommits: number; readonly overlayKeys: number } {
    return { waitingCommits: this.#waiting.length, overlayKeys: this.#overlay.size };
  }

  /** Keys and values must not be changed after they were handed over. */
  commit(
    operations: readonly CommitOperation[],
    preconditions: readonly Precondition[] = [],
  ): Promise<CommitResult> {
    if (this.#closed) return Promise.reject(new HoldfastError('ShuttingDown'));
    if (this.#stalled) return Promise.reject(stallError());
    if (this.#nextCounter > COUNTER_MAX) {
      return Promise.reject(
        new HoldfastError('ServiceUnavailable', { detail: 'this start has used all its slots' }),
      );
    }
    const bytes = sizeOf(operations);
    assert(bytes <= COMMIT_BYTES_MAX, `a commit of ${bytes} bytes is above the limit of ${COMMIT_BYTES_MAX}`);
    if (this.#waiting.length >= COMMITS_WAITING_MAX || this.#waitingBytes + bytes > WAITING_BYTES_MAX) {
      return Promise.reject(new HoldfastError('SlowDown', { detail: 'too many commits are waiting' }));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operations, preconditions, bytes, resolve, reject });
      this.#waitingBytes += bytes;
      this.#wake();
    });
  }

  async peek(key: Uint8Array): Promise<Buffer | undefined> {
    const pending = this.#overlay.get(mapKey(key));
    if (!pending) return this.#options.engine.get(key);
    const value = pending.value;
    return value && Buffer.from(value.buffer, value.byteOffset, value.length);
  }

  /**
   * Waits for everything accepted before. A slot that still cannot be written gets one last attempt.
   * @throws ServiceUnavailable when that fails: its commits stay undecided, and their promises open, because the next
   * start may find them done.
   */
  close(): Promise<void> {
    this.#closed ??= this.#drain();
    return this.#closed;
  }

  async #drain(): Promise<void> {
    this.#closing.abort();
    if (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
    if (this.#stalled) {
      const count = this.#inFlight?.commits.length ?? 0;
      const detail = `${count} commits could not be written before the stop; the next start shows whether they were`;
      throw new HoldfastError('ServiceUnavailable', { detail });
    }
  }

  get #busy(): boolean {
    return this.#waiting.length > 0 || this.#deciding || this.#inFlight !== undefined;
  }

  #wake(): void {
    if (this.#deciding) return;
    this.#deciding = true;
    queueMicrotask(() => this.#decideWaiting());
  }

  /** Decides waiting commits until none is left, or the next does not fit into the gathering slot. */
  async #decideWaiting(): Promise<void> {
    for (let head = this.#waiting[0]; head; head = this.#waiting[0]) {
      if (!fits(this.#gathering, head)) break;
      const room = SLOT_COMMITS_MAX - (this.#gathering?.commits.length ?? 0);
      const candidates = this.#waiting.slice(0, room);
      const known = this.#rememberPending(candidates);
      let failure: unknown;
      await this.#readMissing(candidates, known).catch((error: unknown) => {
        failure = error ?? new HoldfastError('InternalError');
      });
      // A slot that failed meanwhile has refused all that were waiting; these are others.
      if (this.#waiting[0] !== head) continue;
      if (failure === undefined) this.#decideAll(candidates, known);
      else for (const { reject } of this.#takeWaiting(candidates.length)) reject(failure);
      this.#send();
    }
    this.#deciding = false;
    this.#signalIdle();
  }

  #rememberPending(candidates: readonly Request[]): Map<string, Uint8Array | undefined> {
    const known = new Map<string, Uint8Array | undefined>();
    for (const { operations, preconditions } of candidates) {
      for (const key of keysNeeded(operations, preconditions)) {
        const id = mapKey(key);
        const pending = this.#overlay.get(id);
        if (pending) known.set(id, pending.value);
      }
    }
    return known;
  }

  async #readMissing(candidates: readonly Request[], known: Map<string, Uint8Array | undefined>) {
    const missing = new Map<string, Uint8Array>();
    for (const { operations, preconditions } of candidates) {
      for (const key of keysNeeded(operations, preconditions)) {
        const id = mapKey(key);
        if (!known.has(id)) missing.set(id, key);
      }
    }
    if (missing.size === 0) return;
    const values = await this.#options.engine.getMany([...missing.values()]);
    let i = 0;
    for (const id of missing.keys()) known.set(id, values[i++]);
  }

  /** Decides without awaiting; stops where the slot is full, and what is left is looked at afresh. */
  #decideAll(candidates: readonly Request[], known: ReadonlyMap<string, Uint8Array | undefined>): void {
    let decidedCount = 0;
    for (const request of candidates) {
      if (!fits(this.#gathering, request)) break;
      decidedCount += 1;
      let decision: Decision;
      try {
        decision = decide(request.operations, request.preconditions, (id) => {
          const pending = this.#overlay.get(id);
          return pending ? pending.value : known.get(id);
        });
      } catch (error) {
        request.reject(error);
        continue;
      }
      this.#admit(request, decision);
    }
    this.#takeWaiting(decidedCount);
  }

  #admit(request: Request, decision: Decision): void {
    this.#gathering ??= { pending: new PendingSlot(this.#nextCounter++), commits: [], bytes: 0 };
    const { pending, commits } = this.#gathering;
    for (const [key, value] of decision.changes) this.#overlay.set(pending, key, value);
    commits.push({ request, counters: decision.counters });
    this.#gathering.bytes += request.bytes;
  }

  #takeWaiting(count: number): Request[] {
    const taken = this.#waiting.splice(0, count);
    for (const { bytes } of taken) this.#waitingBytes -= bytes;
    return taken;
  }

  #send(): void {
    if (this.#inFlight || !this.#gathering) return;
    this.#inFlight = this.#gathering;
    this.#gathering = undefined;
    void this.#write(this.#inFlight);
  }

  async #write(gathered: GatheringSlot): Promise<void> {
    const { term, start } = this.#options.token;
    const slot = { term, start, counter: gathered.pending.counter };
    const operations = gathered.pending.operations();
    let delayMs = RETRY_DELAY_MS_MIN;
    for (let attempt = 1; ; attempt++) {
      const lastAttempt = this.#closing.signal.aborted;
      try {
        await this.#options.writer.write(slot, operations);
        break;
      } catch (error) {
        this.#options.onFailure?.(error, slot, attempt);
        this.#stall(gathered);
        if (lastAttempt) return this.#signalIdle(true);
        await this.#options.clock.sleep(delayMs, this.#closing.signal).catch(() => undefined);
        delayMs = Math.min(delayMs * 2, RETRY_DELAY_MS_MAX);
      }
    }
    this.#finish(gathered, slot);
  }

  #finish(gathered: GatheringSlot, slot: Slot): void {
    this.#stalled = false;
    this.#inFlight = undefined;
    this.#overlay.drop(gathered.pending);
    for (const { request, counters } of gathered.commits) request.resolve({ slot, counters });
    this.#send();
    if (this.#waiting.length > 0) this.#wake();
    this.#signalIdle();
  }

  /** Refuses what has not been sent. The counter of the slot that was gathering is given out again: no slot is skipped. */
  #stall(failed: GatheringSlot): void {
    if (this.#stalled) return;
    this.#stalled = true;
    const refused = this.#takeWaiting(this.#waiting.length);
    if (this.#gathering) refused.push(...this.#gathering.commits.map(({ request }) => request));
    this.#gathering = undefined;
    this.#nextCounter = failed.pending.counter + 1;
    this.#overlay.rollBackTo(failed.pending);
    for (const { reject } of refused) reject(stallError());
  }

  #signalIdle(givenUp = false): void {
    if (this.#busy && !givenUp) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function fits(slot: GatheringSlot | undefined, request: Request): boolean {
  if (slot === undefined) return true;
  return slot.commits.length < SLOT_COMMITS_MAX && slot.bytes + request.bytes <= SLOT_BYTES_MAX;
}

function sizeOf(operations: readonly CommitOperation[]): number {
  let bytes = 0;
  for (const operation of operations) {
    bytes += operation.key.length + (operation.type === 'put' ? operation.value.length : 8);
  }
  return bytes;
}

function stallError(): HoldfastError {
  return new HoldfastError('ServiceUnavailable', { detail: 'the metadata cannot be written at the moment' });
}
