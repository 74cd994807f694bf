/**
 * Puts the stripe layer together: memory, writer, reader, repair, and the background deletion of fragments nobody needs.
 */
import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { DigestAlgorithm } from '../coding/digests.ts';
import type { RepairKeys } from '../crypto/gridkeys.ts';
import type { Grid } from '../grid/types.ts';
import { OPEN_CHUNKS_MAX } from './engine/memory.ts';
import type { StripeEngine, WriteBuffer } from './engine/types.ts';
import { FragmentSeals } from './fragments.ts';
import { type PositionSource, Positions } from './positions.ts';
import { StripeReader } from './reader.ts';
import { StripeRepair } from './repair.ts';
import { fullPayloadBytes, stripePlaintextBytesMax } from './shape.ts';
import { Spreader } from './spread.ts';
import type { FragmentAddress, StripeSurgery } from './surgery.ts';
import type {
  BodyDigester,
  OpenedPiece,
  OpenRun,
  PayloadRange,
  PayloadSource,
  Profile,
  SealRun,
  StripeBuffer,
  StripeId,
  StripeStore,
  WrittenStripe,
} from './types.ts';
import { readVerified } from './verified.ts';
import { StripeWriter, type WriteOutcome } from './writer.ts';

/** Fragments that wait to be deleted; beyond it they are left to the orphan sweep. */
const DISCARDS_MAX = 100_000;
/** Write buffers that late puts still read and that the pool has replaced, about 10 MiB each; with more, the pool waits. */
const RETIRED_BUFFERS_MAX = 8;

export interface StripesOptions {
  readonly grid: Grid;
  readonly engine: StripeEngine;
  readonly clock: Clock;
  readonly keys: RepairKeys;
  readonly profile: Profile;
  readonly positions: PositionSource;
}

/** A buffer as the writer of an upload sees it; the memory behind it may be needed longer. */
class HeldBuffer implements StripeBuffer {
  readonly plaintext: Uint8Array;
  readonly memory: WriteBuffer;
  readonly #onRelease: (buffer: HeldBuffer) => void;
  unsettled: Promise<void> | undefined;

  constructor(memory: WriteBuffer, onRelease: (buffer: HeldBuffer) => void) {
    this.memory = memory;
    this.plaintext = memory.plaintext;
    this.#onRelease = onRelease;
  }

  release(): void {
    this.#onRelease(this);
  }
}

export class Stripes implements StripeStore {
  readonly stripePlaintextBytesMax: number;
  readonly openChunksMax = OPEN_CHUNKS_MAX;
  readonly surgery: StripeSurgery;
  onDamage: StripeStore['onDamage'] = () => undefined;
  readonly #options: StripesOptions;
  readonly #positions: Positions;
  readonly #writer: StripeWriter;
  readonly #reader: StripeReader;
  readonly #pins = new Map<string, number>();
  readonly #discards: FragmentAddress[] = [];
  #discarding = false;
  #retired = 0;

  private constructor(options: StripesOptions, seals: FragmentSeals) {
    this.#options = options;
    const { grid, engine, clock, profile } = options;
    this.stripePlaintextBytesMax = stripePlaintextBytesMax(profile.k);
    this.#positions = new Positions(options.positions);
    const positions = this.#positions;
    const spreader = new Spreader(grid, clock);
    const onDamage: StripeStore['onDamage'] = (...damage) => this.onDamage(...damage);
    const discard = (addresses: readonly FragmentAddress[]) => this.#discard(addresses);
    const reading = { grid, clock, seals, onDamage, engine };
    this.#writer = new StripeWriter({ grid, engine, seals, positions, spreader, clock, profile, discard });
    this.#reader = new StripeReader(reading);
    const copyPayload = (sources: readonly PayloadSource[]) => this.copyPayload(sources);
    this.surgery = new StripeRepair({ ...reading, spreader, positions, copyPayload });
    this.#readVerified = (source, memory, unsettled) =>
      readVerified(reading, source, memory, source.record.k, unsettled);
  }

  readonly #readVerified: (
    source: PayloadSource,
    memory: Uint8Array,
    unsettled: Promise<unknown>[],
  ) => ReturnType<typeof readVerified>;

  static async create(options: StripesOptions): Promise<Stripes> {
    return new Stripes(options, await FragmentSeals.create(options.keys));
  }

  async acquire(signal?: AbortSignal): Promise<StripeBuffer> {
    return new HeldBuffer(await this.#options.engine.acquireWrite(signal), (buffer) => this.#release(buffer));
  }

  #release(buffer: HeldBuffer): void {
    if (buffer.unsettled === undefined) buffer.memory.release();
    else if (this.#retired < RETIRED_BUFFERS_MAX) {
      this.#retired += 1;
      buffer.memory.retire();
      void buffer.unsettled.then(() => {
        this.#retired -= 1;
      });
    } else void buffer.unsettled.then(() => buffer.memory.release());
  }

  createDigester(algorithms: readonly DigestAlgorithm[]): BodyDigester {
    return this.#options.engine.createDigester(algorithms);
  }

  async write(buffer: StripeBuffer, runs: readonly SealRun[]): Promise<WrittenStripe> {
    if (!(buffer instanceof HeldBuffer)) throw new TypeError('the buffer is not from this store');
    await buffer.unsettled;
    return this.#finish(await this.#writer.write(buffer.memory, runs), buffer);
  }

  #finish({ result, unsettled }: WriteOutcome, buffer: HeldBuffer): WrittenStripe {
    buffer.unsettled = unsettled;
    if ('error' in result) throw result.error;
    return result.written;
  }

  async copyPayload(sources: readonly PayloadSource[]): Promise<WrittenStripe> {
    const total = sources.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const capacity = fullPayloadBytes(this.#options.profile.k);
    if (total > capacity || total === 0) {
      throw new HoldfastError('InvalidArgument', {
        detail: `${total} bytes do not make a stripe of ${capacity}`,
      });
    }
    const buffer = new HeldBuffer(await this.#options.engine.acquireWrite(), (held) => this.#release(held));
    try {
      const ranges: PayloadRange[] = [];
      let at = 0;
      for (const source of sources) {
        await this.#copyInto(source, buffer.memory.fragments.subarray(at, at + source.lengthBytes));
        ranges.push({ offsetBytes: at, lengthBytes: source.lengthBytes });
        at += source.lengthBytes;
      }
      return this.#finish(await this.#writer.writePayload(buffer.memory.fragments, total, ranges), buffer);
    } finally {
      buffer.release();
    }
  }

  /** One source's bytes, from fragments that were verified. */
  async #copyInto(source: PayloadSource, target: Uint8Array): Promise<void> {
    const { record } = source;
    const memory = await this.#options.engine.acquireRepair();
    const unsettled: Promise<unknown>[] = [];
    try {
      const verified = await this.#readVerified(source, memory.fragments, unsettled);
      const f = record.fragmentLengthBytes;
      const wanted = new Map<number, Uint8Array>();
      for (let index = 0; index < record.k; index++) {
        if (verified.present[index] === undefined)
          wanted.set(index, new Uint8Array(new SharedArrayBuffer(f)));
      }
      const profile = { k: record.k, m: record.m, codecId: record.codec };
      if (wanted.size > 0) await this.#options.engine.reconstruct(profile, verified.present, wanted);
      for (let at = 0; at < source.lengthBytes; ) {
        const index = Math.floor((source.offsetBytes + at) / f);
        const within = source.offsetBytes + at - index * f;
        const fragment = verified.present[index] ?? wanted.get(index);
        const piece = fragment?.subarray(within, within + source.lengthBytes - at) ?? new Uint8Array(0);
        target.set(piece, at);
        at += piece.length;
      }
    } finally {
      if (unsettled.length === 0) memory.release();
      else void Promise.allSettled(unsettled).then(() => memory.release());
    }
  }

  settle(stripeId: StripeId): void {
    this.#positions.settle(stripeId);
  }

  abandon({ stripeId, record }: WrittenStripe): void {
    this.#discard(record.nodes.map((node, index) => ({ stripeId, index, node })));
    this.#positions.settle(stripeId);
  }

  open(run: OpenRun, signal?: AbortSignal): Promise<OpenedPiece> {
    return this.#reader.open(run, signal);
  }

  pin(stripeId: StripeId): () => void {
    const id = mapKey(stripeId);
    this.#pins.set(id, (this.#pins.get(id) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#pins.get(id) ?? 1) - 1;
      if (left === 0) this.#pins.delete(id);
      else this.#pins.set(id, left);
    };
  }

  isPinned(stripeId: StripeId): boolean {
    return this.#pins.has(mapKey(stripeId));
  }

  #discard(addresses: readonly FragmentAddress[]): void {
    this.#discards.push(...addresses.slice(0, DISCARDS_MAX - this.#discards.length));
    if (!this.#discarding) void this.#runDiscards();
  }

  async #runDiscards(): Promise<void> {
    this.#discarding = true;
    while (this.#discards.length > 0) await this.surgery.deleteFragments(this.#discards.splice(0));
    this.#discarding = false;
  }
}
