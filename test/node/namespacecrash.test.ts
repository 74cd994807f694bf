/**
 * Random work in several namespaces over the simulated disk: values are written over, deleted and compacted, namespaces made and removed,
 * ids given out, all of it cut by power failures and kills. HOLDFAST_CRASH_SEEDS and HOLDFAST_CRASH_SEED as in crash.test.ts.
 */
import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import type { Namespace } from '../../src/node/namespace.ts';
import { NodeStore } from '../../src/node/store.ts';
import { SimulatedDisk } from '../simulation/disk.ts';
import { Prng } from '../simulation/prng.ts';
import { simulatedOptions } from './nodes.ts';

const SEEDS = Number(process.env['HOLDFAST_CRASH_SEEDS'] ?? 200);
const ONLY = process.env['HOLDFAST_CRASH_SEED'];
const LIVES = 4;
const GONE = '';

/** What may be under a key: hex of values, GONE for nothing. */
class Model {
  readonly values = new Map<string, Set<string>>();
  readonly busy = new Set<string>();
}

class Torture {
  readonly #prng: Prng;
  #disk: SimulatedDisk;
  #node!: NodeStore;
  /** By name; undefined where it may or may not be there. */
  readonly #models = new Map<string, Model>();
  readonly #ids = new Map<string, Set<string>>();
  acknowledged = 0;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
    this.#disk = new SimulatedDisk(this.#prng.u32(), { capacityBytes: 2 ** 30, direct: seed % 2 === 0 });
  }

  async run(): Promise<void> {
    await this.#open();
    for (const name of ['default', 'one', 'two']) await this.#make(name);
    for (let life = 0; life < LIVES; life++) {
      await this.#live();
      await this.#restart();
      await this.#checkAll();
    }
  }

  async #open(): Promise<void> {
    this.#node = await NodeStore.open({
      ...simulatedOptions(this.#disk, this.#prng.fork()),
      alignedBytesMin: 4096,
    });
  }

  #namespace(name: string): Namespace | undefined {
    return this.#node.namespaces.get(Buffer.from(name));
  }

  async #make(name: string): Promise<void> {
    if (this.#namespace(name) === undefined) await this.#node.namespaces.create(Buffer.from(name));
    this.#models.set(name, new Model());
  }

  async #live(): Promise<void> {
    const prng = this.#prng;
    if (prng.chance(0.7)) this.#disk.cutAfter(prng.between(1, 900));
    const running = new Set<Promise<void>>();
    for (let step = prng.between(20, 200); step > 0 && !this.#disk.dead; step--) {
      const work = this.#act()
        .catch((error: unknown) => {
          if (!(error instanceof HoldfastError)) throw error;
        })
        .finally(() => running.delete(work));
      running.add(work);
      if (prng.chance(0.4) || running.size >= 10) await Promise.race(running);
    }
    await Promise.all(running);
  }

  async #act(): Promise<void> {
    const prng = this.#prng;
    const draw = prng.below(100);
    const name = prng.pick(['default', 'one', 'two']);
    if (draw < 60) await this.#set(name);
    else if (draw < 78) await this.#delete(name);
    else if (draw < 90) await this.#node.compactStep(prng.between(1, 100_000));
    else if (draw < 96) await this.#allocate(name);
    else await this.#node.namespaces.default.scan(undefined, prng.chance(0.5), 10, 2);
  }

  #key(): Buffer {
    const number = this.#prng.below(12);
    const sizes = [1, 4, 8, 31, 32, 33, 255];
    return Buffer.alloc(sizes[number % sizes.length]!, `k${number}`);
  }

  async #set(name: string): Promise<void> {
    const value = this.#prng.bytes(this.#prng.below(this.#prng.pick([3, 200, 20_000])));
    await this.#change(name, value.toString('hex') || 'empty', (namespace, key) => namespace.set(key, value));
  }

  async #delete(name: string): Promise<void> {
    await this.#change(name, GONE, (namespace, key) => namespace.delete(key));
  }

  async #change(
    name: string,
    wanted: string,
    work: (namespace: Namespace, key: Buffer) => Promise<unknown>,
  ): Promise<void> {
    const model = this.#models.get(name)!;
    const key = this.#key();
    const hex = key.toString('hex');
    if (model.busy.has(hex)) return;
    model.busy.add(hex);
    const before = model.values.get(hex) ?? new Set([GONE]);
    model.values.set(hex, new Set([...before, wanted]));
    try {
      await work(this.#namespace(name)!, key);
      model.values.set(hex, new Set([wanted]));
      this.acknowledged += 1;
    } finally {
      model.busy.delete(hex);
    }
  }

  async #allocate(name: string): Promise<void> {
    const id = (await this.#namespace(name)!.allocate()).toString('hex');
    const given = this.#ids.get(name) ?? new Set();
    expect(given.has(id), `id ${id} of ${name} twice`).toBe(false);
    this.#ids.set(name, given.add(id));
  }

  async #restart(): Promise<void> {
    const prng = this.#prng;
    if (!this.#disk.dead && prng.chance(0.3)) await this.#node.close().catch(() => {});
    if (this.#disk.dead || prng.chance(0.5)) this.#disk = this.#disk.powerCut();
    for (let attempt = 0; ; attempt++) {
      if (attempt < 3 && prng.chance(0.3)) this.#disk.cutAfter(prng.between(1, 60));
      try {
        await this.#open();
        if (!this.#disk.dead) this.#disk.cutAfter(Number.POSITIVE_INFINITY);
        return;
      } catch (error) {
        if (!this.#disk.dead) throw error;
        this.#disk = this.#disk.powerCut();
      }
    }
  }

  async #checkAll(): Promise<void> {
    expect(this.#node.replayReport.damagedRecords, 'damage without damage').toBe(0);
    for (const [name, model] of this.#models) {
      const namespace = this.#namespace(name)!;
      const scanned = await this.#scan(namespace);
      let dataBytes = 0;
      for (const [hex, possible] of model.values) {
        const key = Buffer.from(hex, 'hex');
        const value = await namespace.get(key);
        const found = value === undefined ? GONE : value.toString('hex') || 'empty';
        const what = `${name}/${hex.slice(0, 8)}`;
        expect(
          [...possible].map((one) => one.slice(0, 20)),
          what,
        ).toContain(found.slice(0, 20));
        expect(possible.has(found), what).toBe(true);
        expect(scanned.get(hex), what).toBe(value?.length);
        expect(namespace.length(key)).toBe(value?.length);
        scanned.delete(hex);
        dataBytes += value?.length ?? 0;
        model.values.set(hex, new Set([found]));
      }
      expect([...scanned.keys()], `${name}: keys that nobody stored`).toEqual([]);
      expect(namespace.dataBytes).toBe(dataBytes);
    }
    if (this.#prng.chance(0.4)) {
      const name = this.#prng.pick(['one', 'two']);
      await this.#node.namespaces.remove(this.#namespace(name)!);
      this.#ids.delete(name);
      await this.#make(name);
      expect(await this.#scan(this.#namespace(name)!)).toEqual(new Map());
    }
  }

  /** Forwards and backwards give the same keys. */
  async #scan(namespace: Namespace): Promise<Map<string, number>> {
    const found: Map<string, number>[] = [];
    for (const backwards of [false, true]) {
      const keys = new Map<string, number>();
      let cursor: number | undefined;
      for (;;) {
        const page = await namespace.scan(cursor, backwards, 3, 1000);
        if (page === undefined) break;
        for (const { key, lengthBytes } of page.entries) keys.set(key.toString('hex'), lengthBytes);
        cursor = page.cursor;
      }
      found.push(keys);
    }
    expect([...found[0]!.keys()].sort()).toEqual([...found[1]!.keys()].sort());
    return found[0]!;
  }
}

describe('namespaces of a node under power cuts and kills', () => {
  const seeds = ONLY ? [Number(ONLY)] : Array.from({ length: SEEDS }, (_, i) => i + 1);
  it(`keep what they acknowledged (${seeds.length} seeds)`, async () => {
    let acknowledged = 0;
    for (const seed of seeds) {
      const torture = new Torture(seed);
      try {
        await torture.run();
      } catch (error) {
        throw new Error(`seed ${seed}: replay it with HOLDFAST_CRASH_SEED=${seed}`, { cause: error });
      }
      acknowledged += torture.acknowledged;
    }
    expect(acknowledged).toBeGreaterThan(seeds.length * 20);
  });
});
