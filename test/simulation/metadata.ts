/**
 * Metadata in memory that loses what LevelDB may lose. Batches that were not synced may be gone after a power cut, as a
 * suffix: what is left is a prefix of all batches, and every synced one is in it, with all before it. A batch that was
 * under way when the power went, or that failed, may be there or not, but never in part.
 *
 * `powerCut()` and `kill()` return the metadata as the next start finds it; the old one answers nothing any more. State is
 * one sorted array that a batch replaces, so that a cursor has its snapshot for nothing. Print `seed` when a test fails.
 */
import { HoldfastError } from '../../src/base/errors.ts';
import type { BatchOperation, Cursor, KeyRange, MetadataEngine } from '../../src/metadata/engine.ts';
import { Prng } from './prng.ts';

type Entry = readonly [key: Buffer, value: Buffer];
type State = readonly Entry[];

export interface SimulatedMetadataOptions {
  /** Awaited in the middle of every batch, for tests that hold a write up. */
  readonly duringBatch?: () => Promise<void>;
}

export class SimulatedMetadata implements MetadataEngine {
  readonly prng: Prng;
  readonly seed: number;
  readonly options: SimulatedMetadataOptions;
  /** Open cursors; a test asserts that none is left. */
  openCursors = 0;
  batches = 0;
  compactions: (readonly [from: Buffer, to: Buffer])[] = [];
  #visible: State;
  #durable: State;
  /** Batches written since the last sync, oldest first. */
  #unsynced: (readonly BatchOperation[])[] = [];
  /** Batches whose fate is open: under way, or failed. At most one, as the engine writes one at a time. */
  #uncertain: readonly BatchOperation[] | undefined;
  #tail: Promise<void> = Promise.resolve();
  #failures = 0;
  #dead: 'ShuttingDown' | 'ServiceUnavailable' | undefined;

  constructor(seed: number, options: SimulatedMetadataOptions = {}, state: State = []) {
    this.seed = seed;
    this.prng = new Prng(seed);
    this.options = options;
    this.#visible = state;
    this.#durable = state;
  }

  async get(key: Uint8Array): Promise<Buffer | undefined> {
    this.#assertAlive();
    return copyOf(find(this.#visible, key));
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Buffer | undefined)[]> {
    this.#assertAlive();
    return keys.map((key) => copyOf(find(this.#visible, key)));
  }

  cursor(range: KeyRange): Cursor {
    this.#assertAlive();
    this.openCursors += 1;
    return new SimulatedCursor(this.#visible, range, () => {
      this.openCursors -= 1;
    });
  }

  batch(operations: readonly BatchOperation[], options: { readonly sync: boolean }): Promise<void> {
    const own = operations.map(copyOperation);
    const done = this.#tail.then(() => this.#write(own, options.sync));
    this.#tail = done.catch(() => undefined);
    return done;
  }

  async compact(from: Uint8Array, to: Uint8Array): Promise<void> {
    this.#assertAlive();
    this.compactions.push([Buffer.from(from), Buffer.from(to)]);
  }

  async close(): Promise<void> {
    await this.#tail;
    this.#dead ??= 'ShuttingDown';
  }

  /** The next `count` batches fail; whether they were written all the same shows only later. */
  failBatches(count: number): void {
    this.#failures = count;
  }

  powerCut(): SimulatedMetadata {
    const surviving = this.prng.between(0, this.#unsynced.length);
    let state = this.#durable;
    for (const operations of this.#unsynced.slice(0, surviving)) state = apply(state, operations);
    const whole = surviving === this.#unsynced.length;
    return this.#restart(state, whole);
  }

  /** The process dies, the operating system does not: everything that was written is there. */
  kill(): SimulatedMetadata {
    return this.#restart(this.#visible, true);
  }

  #restart(state: State, uncertainMaySurvive: boolean): SimulatedMetadata {
    this.#dead = 'ServiceUnavailable';
    const uncertain = uncertainMaySurvive && this.prng.chance(0.5) ? this.#uncertain : undefined;
    return new SimulatedMetadata(this.prng.u32(), this.options, uncertain ? apply(state, uncertain) : state);
  }

  async #write(operations: readonly BatchOperation[], sync: boolean): Promise<void> {
    this.#assertAlive();
    this.batches += 1;
    this.#settleFailed();
    this.#uncertain = operations;
    await this.options.duringBatch?.();
    this.#assertAlive();
    if (this.#failures > 0) {
      this.#failures -= 1;
      throw new HoldfastError('ServiceUnavailable', { detail: `simulated write failure, seed ${this.seed}` });
    }
    this.#uncertain = undefined;
    this.#visible = apply(this.#visible, operations);
    this.#unsynced.push(operations);
    if (sync) this.#sync();
  }

  /** The first batch after a failed one reopens the database, which makes what is there durable. */
  #settleFailed(): void {
    if (!this.#uncertain) return;
    if (this.prng.chance(0.5)) this.#visible = apply(this.#visible, this.#uncertain);
    this.#uncertain = undefined;
    this.#sync();
  }

  #sync(): void {
    this.#durable = this.#visible;
    this.#unsynced = [];
  }

  #assertAlive(): void {
    if (this.#dead) throw new HoldfastError(this.#dead, { detail: `simulated metadata, seed ${this.seed}` });
  }
}

class SimulatedCursor implements Cursor {
  readonly #entries: State;
  readonly #range: KeyRange;
  readonly #onClose: () => void;
  /** Index of the next entry. */
  #at: number;
  #remaining: number;
  #open = true;

  constructor(entries: State, range: KeyRange, onClose: () => void) {
    this.#entries = entries;
    this.#range = range;
    this.#onClose = onClose;
    this.#remaining = range.limit ?? Number.POSITIVE_INFINITY;
    if (range.reverse) this.#at = (range.to ? lowerBound(entries, range.to) : entries.length) - 1;
    else this.#at = range.from ? lowerBound(entries, range.from) : 0;
  }

  async next(count: number): Promise<[Buffer, Buffer][]> {
    const found: [Buffer, Buffer][] = [];
    while (found.length < count && this.#remaining > 0) {
      const entry = this.#entries[this.#at];
      if (!entry || !this.#contains(entry[0])) break;
      found.push([Buffer.from(entry[0]), Buffer.from(entry[1])]);
      this.#at += this.#range.reverse ? -1 : 1;
      this.#remaining -= 1;
    }
    return found;
  }

  seek(key: Uint8Array): void {
    const { from, to, reverse } = this.#range;
    if (reverse) {
      const target =
        to && Buffer.compare(key, to) >= 0 ? lowerBound(this.#entries, to) : upperBound(this.#entries, key);
      this.#at = target - 1;
    } else {
      this.#at = lowerBound(this.#entries, from && Buffer.compare(key, from) < 0 ? from : key);
    }
  }

  async close(): Promise<void> {
    if (this.#open) this.#onClose();
    this.#open = false;
  }

  #contains(key: Buffer): boolean {
    const { from, to } = this.#range;
    return (!from || Buffer.compare(key, from) >= 0) && (!to || Buffer.compare(key, to) < 0);
  }
}

/** Index of the first entry with a key ≥ `key`. */
function lowerBound(entries: State, key: Uint8Array): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare((entries[middle] as Entry)[0], key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function upperBound(entries: State, key: Uint8Array): number {
  const at = lowerBound(entries, key);
  const entry = entries[at];
  return entry && Buffer.compare(entry[0], key) === 0 ? at + 1 : at;
}

function find(entries: State, key: Uint8Array): Buffer | undefined {
  const entry = entries[lowerBound(entries, key)];
  return entry && Buffer.compare(entry[0], key) === 0 ? entry[1] : undefined;
}

/** The state after a batch; later operations of a batch win over earlier ones on the same key. */
function apply(entries: State, operations: readonly BatchOperation[]): State {
  const last = new Map<string, BatchOperation>();
  for (const operation of operations) last.set(Buffer.from(operation.key).toString('latin1'), operation);
  const changes = [...last.values()].sort((a, b) => Buffer.compare(a.key, b.key));
  const result: Entry[] = [];
  let at = 0;
  for (const change of changes) {
    const until = lowerBound(entries, change.key);
    for (; at < until; at++) result.push(entries[at] as Entry);
    at = Math.max(at, upperBound(entries, change.key));
    if (change.type === 'put') result.push([Buffer.from(change.key), Buffer.from(change.value)]);
  }
  for (; at < entries.length; at++) result.push(entries[at] as Entry);
  return result;
}

function copyOperation(operation: BatchOperation): BatchOperation {
  const key = Buffer.from(operation.key);
  return operation.type === 'put'
    ? { type: 'put', key, value: Buffer.from(operation.value) }
    : { type: 'del', key };
}

function copyOf(value: Buffer | undefined): Buffer | undefined {
  return value && Buffer.from(value);
}
