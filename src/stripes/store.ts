/**
 * Puts the stripe layer together: memory, writer, reader, repair, and the background deletion of fragments nobody needs.
 */
import { defined } from '../base/assert.ts';
import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { DigestAlgorithm } from '../coding/digests.ts';
import type { RepairKeys } from '../crypto/gridkeys.ts';
import type { Grid } from '../grid/types.ts';
import { Discards } from './discards.ts';
import { OPEN_CHUNKS_MAX } from './engine/memory.ts';
import type { StripeEngine, WriteBuffer } from './engine/types.ts';
import { FragmentSeals } from './fragments.ts';
import type { StripeRef } from './gather.ts';
import { type PositionSource, Positions } from './positions.ts';
import { StripeReader } from './reader.ts';
import { StripeRepair } from './repair.ts';
import { Scratch } from './scratch.ts';
import { ANY_PAYLOAD_BYTES_MAX, stripePlaintextBytesMax } from './shape.ts';
import { Spreader } from './spread.ts';
import type { StripeSurgery } from './surgery.ts';
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
import { readVerified, type VerifyParts } from './verified.ts';
import { acquireSpare, StripeWriter, type WriteOutcome } from './writer.ts';

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
  /** Late puts that read the memory's fragments. */
  unsettled: Promise<unknown> | undefined;

  constructor(memory: WriteBuffer) {
    this.memory = memory;
    this.plaintext = memory.plaintext;
  }

  release(): void {
    if (this.unsettled === undefined) this.memory.release();
    else this.memory.releaseAfter(this.unsettled);
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
  readonly #reading: VerifyParts;
  readonly #discards: Discards;
  readonly #pins = new Map<string, number>();

  private constructor(options: StripesOptions, seals: FragmentSeals) {
    this.#options = options;
    const { grid, engine, clock, profile } = options;
    this.stripePlaintextBytesMax = stripePlaintextBytesMax(profile.k);
    this.#positions = new Positions(options.positions);
    const positions = this.#positions;
    const spreader = new Spreader(grid, clock);
    const onDamage: StripeStore['onDamage'] = (...damage) => this.onDamage(...damage);
    this.#reading = { grid, clock, seals, onDamage, engine };
    this.#reader = new StripeReader(this.#reading);
    this.surgery = new StripeRepair({ ...this.#reading, spreader, positions });
    this.#discards = new Discards((addresses) => this.surgery.deleteFragments(addresses));
    const discard: Discards['add'] = (fragments) => this.#discards.add(fragments);
    this.#writer = new StripeWriter({ grid, engine, seals, positions, spreader, clock, profile, discard });
  }

  static async create(options: StripesOptions): Promise<Stripes> {
    return new Stripes(options, await FragmentSeals.create(options.keys));
  }

  /** Stripes written since the start with the farm rule relaxed. */
  get relaxedCount(): number {
    return this.#writer.relaxedCount;
  }

  async acquire(signal?: AbortSignal): Promise<StripeBuffer> {
    return new HeldBuffer(await this.#options.engine.acquireWrite(signal));
  }

  createDigester(algorithms: readonly DigestAlgorithm[]): BodyDigester {
    return this.#options.engine.createDigester(algorithms);
  }

  async write(buffer: StripeBuffer, runs: readonly SealRun[]): Promise<WrittenStripe> {
    if (!(buffer instanceof HeldBuffer)) throw new TypeError('the buffer is not from this store');
    if (buffer.unsettled !== undefined) return this.#writeAgain(buffer, runs);
    const { result, unsettled } = await this.#writer.write(buffer.memory, runs);
    buffer.unsettled = unsettled;
    return writtenOf(result);
  }

  /** The buffer is used a second time while late puts read what it held first: the fragments go to memory of their own. */
  async #writeAgain({ plaintext }: HeldBuffer, runs: readonly SealRun[]): Promise<WrittenStripe> {
    const spare = await acquireSpare(this.#options);
    let unsettled: WriteOutcome['unsettled'];
    try {
      const outcome = await this.#writer.write({ plaintext, fragments: spare.fragments }, runs);
      unsettled = outcome.unsettled;
      return writtenOf(outcome.result);
    } finally {
      if (unsettled === undefined) spare.release();
      else spare.releaseAfter(unsettled);
    }
  }

  async copyPayload(sources: readonly PayloadSource[]): Promise<WrittenStripe> {
    const total = sources.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    if (total > ANY_PAYLOAD_BYTES_MAX || total === 0) {
      throw new HoldfastError('InvalidArgument', {
        detail: `${total} bytes do not make a stripe of at most ${ANY_PAYLOAD_BYTES_MAX}`,
      });
    }
    return this.#writeCopy(async (target) => {
      const ranges: PayloadRange[] = [];
      let at = 0;
      for (const source of sources) {
        const { offsetBytes, lengthBytes } = source;
        await this.#copyInto(source, offsetBytes, target.subarray(at, at + lengthBytes));
        ranges.push({ offsetBytes: at, lengthBytes });
        at += lengthBytes;
      }
      return ranges;
    });
  }

  /** Writes what `fill` puts at the start of a buffer; the ranges say how much that is. */
  async #writeCopy(fill: (target: Uint8Array) => Promise<PayloadRange[]>): Promise<WrittenStripe> {
    const buffer = new HeldBuffer(await this.#options.engine.acquireWrite());
    try {
      const { fragments } = buffer.memory;
      const ranges = await fill(fragments);
      const total = ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
      const { result, unsettled } = await this.#writer.writePayload(fragments, total, ranges);
      buffer.unsettled = unsettled;
      return writtenOf(result);
    } finally {
      buffer.release();
    }
  }

  /** Fills `target` with a stripe's payload from `offsetBytes` on, from fragments that were verified. */
  async #copyInto(stripe: StripeRef, offsetBytes: number, target: Uint8Array): Promise<void> {
    const { record } = stripe;
    const f = record.fragmentLengthBytes;
    const { engine } = this.#options;
    const scratch = new Scratch(await engine.acquireRepair(), f);
    try {
      const { present } = await readVerified(this.#reading, stripe, scratch, record.k);
      const wanted = new Map<number, Uint8Array>();
      const [first, last] = [Math.floor(offsetBytes / f), Math.floor((offsetBytes + target.length - 1) / f)];
      for (let index = first; index <= last; index++) {
        if (present[index] === undefined) wanted.set(index, scratch.target(index));
      }
      const profile = { k: record.k, m: record.m, codecId: record.codec };
      if (wanted.size > 0) await engine.reconstruct(profile, present, wanted);
      for (let at = 0; at < target.length; ) {
        const index = Math.floor((offsetBytes + at) / f);
        const within = offsetBytes + at - index * f;
        const fragment = defined(present[index] ?? wanted.get(index), 'a fragment of a payload');
        const piece = fragment.subarray(within, within + target.length - at);
        target.set(piece, at);
        at += piece.length;
      }
    } finally {
      scratch.release();
    }
  }

  settle(stripeId: StripeId): void {
    this.#positions.settle(stripeId);
  }

  abandon({ stripeId, record }: WrittenStripe): void {
    this.#discards.add(record.nodes.map((node, index) => ({ stripeId, index, node, ended: undefined })));
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
}

function writtenOf(result: WriteOutcome['result']): WrittenStripe {
  if ('error' in result) throw result.error;
  return result.written;
}
