/**
 * The hardware of a simulated run: one disk for each node, the metadata's disk, and the power supply. Every operation of any of them
 * passes `#tick`, so that faults strike at an operation's number, which the seed decides, and all disks go down at once.
 *
 * What a fault may cost is kept honestly: `hurt` are the disks whose fragments may be damaged, unreadable or away, and no
 * more than m of them may be at any time until everything has been healed.
 */
import { type DiskErrorCode, diskError, SimulatedDisk } from './disk.ts';
import { SimulatedMetadata } from './metadata.ts';
import { Prng } from './prng.ts';

export const NODE_DIRECTORY = '/node';
const SEGMENT_PATTERN = /\.seg$/;

export class NodeHardware {
  readonly name: string;
  disk: SimulatedDisk;
  /** Every operation takes this long. */
  delayMs = 0;
  /** Every operation fails so; undefined while the disk works. */
  failure: DiskErrorCode | undefined;
  /** Fragments on it may be lost, rotten or unreadable. */
  isDamaged = false;
  /** Thrown away; its node is recorded as lost. */
  isRetired = false;
  /** It does not serve at the moment: its node was stopped or has failed. */
  isAway = false;

  constructor(name: string, disk: SimulatedDisk) {
    this.name = name;
    this.disk = disk;
  }

  get isHurt(): boolean {
    return this.isDamaged || this.isAway || this.failure !== undefined;
  }
}

interface Event {
  readonly atOperation: number;
  readonly strike: () => void;
}

export class Machine {
  readonly prng: Prng;
  readonly #all: NodeHardware[] = [];
  metadata: SimulatedMetadata;
  operations = 0;
  /** Of the process that runs now: how it waits for slow disks. */
  sleep: (delayMs: number) => Promise<void> = () => Promise.resolve();
  onCrash: () => void = () => undefined;
  readonly #trace: (line: string) => void;
  #events: Event[] = [];

  constructor(seed: number, trace: (line: string) => void) {
    this.prng = new Prng(seed);
    this.#trace = trace;
    this.metadata = new SimulatedMetadata(this.prng.u32(), {
      duringBatch: async () => {
        this.#tick();
      },
    });
  }

  get disks(): readonly NodeHardware[] {
    return this.#all.filter((hardware) => !hardware.isRetired);
  }

  addDisk(): NodeHardware {
    const name = `disk-${this.#all.length + 1}`;
    const onOperation = () => this.#operate(hardware);
    const disk = new SimulatedDisk(this.prng.u32(), { filesystemId: name, onOperation });
    const hardware = new NodeHardware(name, disk);
    this.#all.push(hardware);
    return hardware;
  }

  disk(name: string): NodeHardware {
    const found = this.#all.find((hardware) => hardware.name === name);
    if (found === undefined) throw new RangeError(`there is no ${name}`);
    return found;
  }

  hurtCount(): number {
    return this.disks.filter((hardware) => hardware.isHurt).length;
  }

  /** `strike` runs in the middle of the operation that comes `operations` after now. */
  plan(operations: number, strike: () => void): void {
    this.#events.push({ atOperation: this.operations + operations, strike });
    this.#events.sort((a, b) => a.atOperation - b.atOperation);
  }

  forgetPlans(): void {
    this.#events = [];
  }

  /** Ends the process in an instant, with the power or without. What it was doing answers nothing any more. */
  crash(kind: 'power' | 'kill'): void {
    this.#trace(`${kind === 'power' ? 'the power goes' : 'the process is killed'} at ${this.operations}`);
    this.forgetPlans();
    for (const hardware of this.disks) {
      hardware.disk = kind === 'power' ? hardware.disk.powerCut() : hardware.disk.kill();
    }
    this.metadata = kind === 'power' ? this.metadata.powerCut() : this.metadata.kill();
    this.onCrash();
  }

  /** Crashes some turns of the event loop after now, so that it also falls between two operations. */
  crashSoon(kind: 'power' | 'kill'): void {
    const metadata = this.metadata;
    const wait = async () => {
      for (let turns = this.prng.below(40); turns > 0; turns--) await undefined;
      if (this.metadata === metadata) this.crash(kind);
    };
    void wait();
  }

  /** The paths of a disk's segments, in order. */
  async segments({ disk }: NodeHardware): Promise<string[]> {
    if (!(await disk.exists(NODE_DIRECTORY))) return [];
    const names = await disk.list(NODE_DIRECTORY);
    return names
      .filter((name) => SEGMENT_PATTERN.test(name))
      .sort()
      .map((name) => `${NODE_DIRECTORY}/${name}`);
  }

  #operate(hardware: NodeHardware): Promise<void> | undefined {
    this.#tick();
    if (hardware.failure !== undefined) throw diskError(hardware.failure, hardware.name);
    return hardware.delayMs > 0 ? this.sleep(hardware.delayMs) : undefined;
  }

  #tick(): void {
    this.operations += 1;
    while ((this.#events[0]?.atOperation ?? Number.POSITIVE_INFINITY) <= this.operations) {
      this.#events.shift()?.strike();
    }
  }
}
