/**
 * Random work on a node over the simulated disk, cut by power failures, failed syncs, kills and full disks. What was
 * acknowledged must be there byte for byte, what was deleted must stay deleted, and what was not acknowledged must be whole
 * or absent, after any number of them in a row. HOLDFAST_CRASH_SEEDS sets how many seeds are run, HOLDFAST_CRASH_SEED one.
 */
import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { NodeStore } from '../../src/node/store.ts';
import { SimulatedDisk } from '../simulation/disk.ts';
import { Prng } from '../simulation/prng.ts';
import { makeFragment, type TestFragment } from './fragments.ts';
import { simulatedOptions } from './nodes.ts';

const SEEDS = Number(process.env['HOLDFAST_CRASH_SEEDS'] ?? 300);
const ONLY = process.env['HOLDFAST_CRASH_SEED'];
const NAMES = 40;
const LIVES = 4;

/** What may be stored under one name: the content's number, or -1 for nothing. One entry: it is certain. */
interface Belief {
  readonly name: Buffer;
  readonly contents: TestFragment[];
  possible: Set<number>;
  busy: boolean;
}

class Torture {
  readonly #prng: Prng;
  readonly #beliefs: Belief[];
  #disk: SimulatedDisk;
  #node!: NodeStore;
  #acknowledged = 0;
  readonly #aligned: boolean;

  /** `aligned`: group commits of a few KiB and more are rounded out to whole blocks with void records. */
  constructor(seed: number, aligned: boolean) {
    this.#prng = new Prng(seed);
    this.#aligned = aligned;
    this.#disk = new SimulatedDisk(this.#prng.u32(), { capacityBytes: 2 ** 30, direct: aligned });
    this.#beliefs = Array.from({ length: NAMES }, () => ({
      name: this.#prng.bytes(32),
      contents: [],
      possible: new Set([-1]),
      busy: false,
    }));
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  #open(): Promise<NodeStore> {
    const options = simulatedOptions(this.#disk, this.#prng.fork());
    return NodeStore.open(this.#aligned ? { ...options, alignedBytesMin: 4096 } : options);
  }

  async run(): Promise<void> {
    this.#node = await this.#open();
    for (let life = 0; life < LIVES; life++) {
      await this.#live();
      await this.#restart();
      await this.#checkAll();
    }
  }

  /** Works until the disk dies, the node fails, or enough was done. */
  async #live(): Promise<void> {
    const prng = this.#prng;
    const ending = prng.pick(['power', 'power', 'power', 'sync', 'write', 'full', 'kill'] as const);
    if (ending === 'power') this.#disk.cutAfter(prng.between(1, 1200));
    const running = new Set<Promise<void>>();
    const steps = prng.between(20, 250);
    for (let step = 0; step < steps && !this.#disk.dead; step++) {
      if (step === steps >> 1) this.#provoke(ending);
      const work = this.#act().finally(() => running.delete(work));
      running.add(work);
      if (prng.chance(0.4)) await Promise.race(running);
      if (running.size >= 12) await Promise.race(running);
    }
    if (prng.chance(0.5)) this.#disk.cutAfter(1);
    await Promise.all(running);
  }

  #provoke(ending: string): void {
    if (ending === 'sync') this.#disk.failNextSync('.seg');
    if (ending === 'write') this.#disk.failNextWrite('.seg');
    if (ending === 'full') this.#disk.capacityBytes = this.#prng.between(100_000, 600_000);
  }

  async #act(): Promise<void> {
    const prng = this.#prng;
    const draw = prng.below(100);
    try {
      if (draw < 55) await this.#put();
      else if (draw < 80) await this.#delete();
      else if (draw < 93) await this.#node.compactStep(prng.between(1, 100_000));
      else if (draw < 97) await this.#node.scrubStep(undefined, prng.between(1, 50_000));
      else await this.#node.list(prng.bytes(32), 10);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
    }
  }

  #idle(): Belief | undefined {
    const belief = this.#prng.pick(this.#beliefs);
    return belief.busy ? undefined : belief;
  }

  async #put(): Promise<void> {
    const belief = this.#idle();
    if (!belief) return;
    const [current] = belief.possible;
    if (belief.possible.size !== 1 || current === undefined) return;
    const number = current >= 0 ? current : belief.contents.length;
    if (current < 0) {
      const lengthBytes = 8 + this.#prng.below(this.#prng.pick([100, 2000, 30_000]));
      belief.contents.push(makeFragment(this.#prng, lengthBytes, belief.name));
    }
    await this.#change(belief, number, () => this.#node.put(belief.name, belief.contents[number]!.pieces));
  }

  async #delete(): Promise<void> {
    const belief = this.#idle();
    if (belief) await this.#change(belief, -1, () => this.#node.delete([belief.name]));
  }

  async #change(belief: Belief, wanted: number, work: () => Promise<unknown>): Promise<void> {
    belief.busy = true;
    const before = belief.possible;
    belief.possible = new Set([...before, wanted]);
    try {
      await work();
      belief.possible = new Set([wanted]);
      this.#acknowledged++;
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'NodeFull') belief.possible = before;
      throw error;
    } finally {
      belief.busy = false;
    }
  }

  /** The machine or only the process starts again, perhaps interrupted by more power cuts. */
  async #restart(): Promise<void> {
    const prng = this.#prng;
    this.#disk.capacityBytes = 2 ** 30;
    if (!this.#disk.dead && prng.chance(0.3)) await this.#node.close().catch(() => {});
    if (this.#disk.dead || prng.chance(0.5)) this.#disk = this.#disk.powerCut();
    for (let attempt = 0; ; attempt++) {
      if (attempt < 3 && prng.chance(0.3)) this.#disk.cutAfter(prng.between(1, 60));
      try {
        this.#node = await this.#open();
        if (this.#disk.operations > 0 && !this.#disk.dead) this.#disk.cutAfter(Number.POSITIVE_INFINITY);
        return;
      } catch (error) {
        if (this.#disk.dead) this.#disk = this.#disk.powerCut();
        else if ((error as { code?: string }).code !== 'EIO') throw error;
      }
    }
  }

  async #checkAll(): Promise<void> {
    expect(this.#node.replayReport.damagedRecords, 'damage without damage').toBe(0);
    const listed = new Map<string, number>();
    for (const { name, storedLengthBytes } of (await this.#node.list(undefined, 1000)).fragments) {
      listed.set(name.toString('hex'), storedLengthBytes);
    }
    for (const belief of this.#beliefs) {
      const lengthBytes = await this.#node.length(belief.name);
      expect(listed.get(belief.name.toString('hex'))).toBe(lengthBytes);
      listed.delete(belief.name.toString('hex'));
      const found = lengthBytes === undefined ? -1 : await this.#which(belief, lengthBytes);
      expect([...belief.possible], `${belief.name.toString('hex', 0, 4)} holds content ${found}`).toContain(
        found,
      );
      belief.possible = new Set([found]);
    }
    expect(listed.size).toBe(0);
  }

  async #which(belief: Belief, lengthBytes: number): Promise<number> {
    const bytes = Buffer.alloc(lengthBytes);
    await this.#node.read(belief.name, 0, bytes);
    expect(await this.#node.verify(belief.name)).toBe('intact');
    const found = belief.contents.findIndex(({ stored }) => stored.equals(bytes));
    expect(found, 'bytes that nobody stored').toBeGreaterThanOrEqual(0);
    return found;
  }
}

describe('a node under power cuts, failed syncs, kills and full disks', () => {
  const seeds = ONLY ? [Number(ONLY)] : Array.from({ length: SEEDS }, (_, i) => i + 1);
  it.each([false, true])(
    `keeps what it acknowledged, with commits of whole blocks: %s (${seeds.length} seeds)`,
    async (aligned) => {
      let acknowledged = 0;
      for (const seed of seeds) {
        const torture = new Torture(seed, aligned);
        try {
          await torture.run();
        } catch (error) {
          throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, {
            cause: error,
          });
        }
        acknowledged += torture.acknowledged;
      }
      expect(acknowledged).toBeGreaterThan(seeds.length * 20);
    },
    60_000 + 200 * seeds.length,
  );
});
