/**
 * The whole system in one process, from a seed: a gateway with everything real but disks, metadata, clock and randomness, clients
 * that hold every answer against a model, faults at any operation, restarts, and checks when all has come to rest.
 *
 * Time is discrete: while anything can run it stands still, and when nothing can, it jumps to the next alarm. So a run is the same
 * every time, with one exception that does not reach the outcome: WebAssembly is compiled off the thread while a gateway starts,
 * and nothing else runs then.
 */
import { MINUTE_MS } from '../../src/base/units.ts';
import type { Profile } from '../../src/stripes/types.ts';
import { BUCKETS, Client, type OpenUpload } from './clients.ts';
import { type FaultContext, planFaults, repairHardware } from './faults.ts';
import { type SimulatedGateway, startGateway } from './gateway.ts';
import { Machine } from './machine.ts';
import { describe, Model } from './model.ts';
import { Prng } from './prng.ts';
import { checkAtRest, comeToRest, type Driver } from './settled.ts';

const STARTS_MAX = 30;
/** A request that is not answered after so many alarms never will be. */
const ALARMS_MAX = 100_000;
const TRACE_LINES_MAX = 400;
const PROFILES: readonly { readonly profile: Profile; readonly nodes: number }[] = [
  { profile: { k: 4, m: 2, codecId: 1 }, nodes: 6 },
  { profile: { k: 4, m: 2, codecId: 1 }, nodes: 6 },
  { profile: { k: 4, m: 2, codecId: 1 }, nodes: 8 },
  { profile: { k: 2, m: 1, codecId: 1 }, nodes: 3 },
  { profile: { k: 2, m: 2, codecId: 1 }, nodes: 5 },
  { profile: { k: 1, m: 2, codecId: 1 }, nodes: 3 },
];

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

export interface RunCounts {
  readonly operations: number;
  readonly starts: number;
  readonly crashes: number;
}

export class World {
  readonly lines: string[] = [];
  readonly #prng: Prng;
  readonly #model = new Model();
  readonly #machine: Machine;
  readonly #profile: Profile;
  readonly #openUploads: OpenUpload[] = [];
  readonly #running = new Set<Promise<unknown>>();
  readonly #withLargeBodies: boolean;
  #gateway: SimulatedGateway | undefined;
  #crashed = false;
  #troubled = false;
  #wallMs = 1_800_000_000_000;
  #starts = 0;
  #crashes = 0;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
    const { profile, nodes } = this.#prng.pick(PROFILES);
    this.#profile = profile;
    this.#withLargeBodies = this.#prng.chance(0.25);
    this.#machine = new Machine(this.#prng.u32(), (line) => this.#trace(line));
    this.#machine.onCrash = () => {
      this.#crashed = true;
      this.#crashes += 1;
      this.#model.interrupted();
    };
    for (let count = 0; count < nodes; count++) this.#machine.addDisk();
    this.#trace(`${profile.k} + ${profile.m} on ${nodes} nodes`);
  }

  async run(): Promise<RunCounts> {
    const rounds = this.#prng.between(2, 4);
    for (let round = 1; round <= rounds; round++) {
      this.#trace(`round ${round}`);
      if (this.#gateway === undefined && this.#prng.chance(0.3)) this.#planCrash(300);
      const gateway = await this.#start();
      await this.#round(gateway);
      if (this.#crashed) this.#drop();
      else if (this.#prng.chance(0.3)) await this.#rest();
    }
    await this.#rest();
    await this.#restart();
    await this.#readEverything();
    await this.#drive(this.#present().close());
    return { operations: this.#machine.operations, starts: this.#starts, crashes: this.#crashes };
  }

  readonly #driver: Driver = { drive: (work) => this.#drive(work), rest: (forMs) => this.#restFor(forMs) };

  /** Runs until `work` settles. Rejects when it never will, or when the process dies meanwhile and so it need not. */
  async #drive<T>(work: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = () => {
      isSettled = true;
    };
    work.then(settled, settled);
    for (let alarms = 0; ; alarms++) {
      await turn();
      if (isSettled) return work;
      const { clock } = this.#present();
      if (!clock.fireNext() || alarms > ALARMS_MAX) throw new Error('it never ends');
    }
  }

  async #restFor(forMs: number): Promise<void> {
    const { clock } = this.#present();
    const untilMs = clock.monotonicMs() + forMs;
    do await turn();
    while (clock.fireNext(untilMs - clock.monotonicMs()));
    clock.leap(untilMs - clock.monotonicMs());
  }

  /** A start may be cut short by a crash of its own; the next one finds what it left. */
  async #start(): Promise<SimulatedGateway> {
    while (this.#gateway === undefined) {
      this.#starts += 1;
      if (this.#starts > STARTS_MAX) throw new Error('it does not start');
      this.#crashed = false;
      const trace = (line: string) => this.#trace(line);
      const start = startGateway(this.#machine, this.#profile, this.#wallMs, trace);
      const gateway = await this.#orCrash(start);
      if (gateway === undefined) continue;
      this.#gateway = gateway;
      this.#trace(`started at ${this.#machine.operations}`);
      await this.#drive(this.#orCrash(this.#firstRequests(gateway)));
      if (this.#crashed) this.#drop();
    }
    return this.#gateway;
  }

  /** What `work` comes to; undefined when the process dies first, and then it does not matter. */
  async #orCrash<T>(work: Promise<T>): Promise<T | undefined> {
    const crash = Promise.withResolvers<undefined>();
    const { onCrash } = this.#machine;
    this.#machine.onCrash = () => {
      onCrash();
      crash.resolve(undefined);
    };
    try {
      const result = await Promise.race([work, crash.promise]);
      return this.#crashed ? undefined : result;
    } catch (error) {
      if (!this.#crashed) throw error;
      return undefined;
    } finally {
      this.#machine.onCrash = onCrash;
    }
  }

  /** Buckets, and what every start finds of each object: with it, what a crash left open is decided. */
  async #firstRequests(gateway: SimulatedGateway): Promise<void> {
    const { service } = gateway.objects;
    const present = new Set((await service.listBuckets()).map(({ name }) => name));
    for (const bucket of BUCKETS) if (!present.has(bucket)) await service.createBucket(bucket, 'us-east-1');
    await this.#readAll(gateway);
  }

  async #readAll(gateway: SimulatedGateway): Promise<void> {
    const client = this.#client(gateway, 'reader');
    for (const key of this.#model.keys()) {
      const value = await client.check(key);
      if (this.#crashed) return;
      this.#model.settle(key, value);
    }
    for (let lists = 0; lists < 2 && !this.#crashed; lists++) await client.list();
  }

  #planCrash(operationsMax: number): void {
    const kind = this.#prng.chance(0.7) ? 'power' : 'kill';
    this.#machine.plan(this.#prng.below(operationsMax), () => this.#machine.crash(kind));
  }

  async #round(gateway: SimulatedGateway): Promise<void> {
    const context = this.#faultContext(gateway);
    planFaults(context);
    const clients = Array.from({ length: this.#prng.between(1, 5) }, (_, i) =>
      this.#client(gateway, `client ${i + 1}`),
    );
    const perClient = this.#prng.between(3, 14);
    await this.#drive(this.#orCrash(Promise.all(clients.map((client) => client.run(perClient)))));
  }

  /** All faults are over, and everything heals. */
  async #rest(): Promise<void> {
    const gateway = await this.#start();
    this.#trace('coming to rest');
    this.#machine.forgetPlans();
    await this.#restFor(1000);
    await this.#drive(repairHardware(this.#faultContext(gateway)));
    await comeToRest(gateway, this.#driver);
    this.#trace('at rest');
    for (const hardware of this.#machine.disks) {
      hardware.isDamaged = false;
      hardware.isAway = false;
    }
    this.#troubled = false;
    await checkAtRest(gateway, this.#driver);
    await this.#readEverything();
  }

  async #readEverything(): Promise<void> {
    const gateway = await this.#start();
    await this.#drive(this.#readAll(gateway));
    const present = this.#model.keys().map((key) => {
      const value = this.#model.possible(key, this.#model.now(), this.#model.now())[0];
      return `${key}: ${describe(value)}`;
    });
    this.#trace(`read ${present.length} keys`);
  }

  async #restart(): Promise<void> {
    const gateway = this.#present();
    await this.#drive(gateway.close());
    this.#machine.crash('kill');
    this.#drop();
    await this.#start();
  }

  /** The process is gone. */
  #drop(): void {
    const clock = this.#gateway?.clock;
    this.#wallMs = (clock?.nowMs() ?? this.#wallMs) + this.#prng.below(10 * MINUTE_MS);
    this.#gateway = undefined;
    this.#running.clear();
    for (const hardware of this.#machine.disks) {
      // What only the process held against a node ended with it.
      if (hardware.delayMs === 0) hardware.isAway = false;
    }
  }

  #client(gateway: SimulatedGateway, name: string): Client {
    const { clock, objects } = gateway;
    return new Client({
      service: objects.service,
      model: this.#model,
      prng: this.#prng.fork(),
      name,
      trace: (line) => this.#trace(line),
      sleep: (delayMs) => clock.sleep(delayMs),
      crashed: () => this.#gateway !== gateway || this.#crashed,
      isTroubled: () => this.#troubled,
      openUploads: this.#openUploads,
      withLargeBodies: this.#withLargeBodies,
    });
  }

  #faultContext(gateway: SimulatedGateway): FaultContext {
    return {
      machine: this.#machine,
      gateway,
      prng: this.#prng.fork(),
      parityCount: this.#profile.m,
      trace: (line) => this.#trace(line),
      onTrouble: () => {
        this.#troubled = true;
      },
      running: this.#running,
    };
  }

  #present(): SimulatedGateway {
    if (this.#gateway === undefined) throw new Error('no gateway is running');
    return this.#gateway;
  }

  #trace(line: string): void {
    const atMs = this.#gateway?.clock.monotonicMs().toFixed(0) ?? '-';
    if (process.env['HOLDFAST_TEST_TRACE']) process.stderr.write(`${atMs} ${line}\n`);
    this.lines.push(`${atMs} ${line}`);
    if (this.lines.length > TRACE_LINES_MAX * 2) this.lines.splice(0, TRACE_LINES_MAX);
  }
}

/** Runs one seed; a failure carries the seed and what happened. */
export async function runSeed(seed: number): Promise<RunCounts> {
  const world = new World(seed);
  try {
    return await world.run();
  } catch (cause) {
    const what = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    const trace = world.lines.slice(-TRACE_LINES_MAX).join('\n');
    throw new Error(`seed ${seed} (HOLDFAST_TEST_SEED=${seed} replays it): ${what}\n${trace}`, { cause });
  }
}
