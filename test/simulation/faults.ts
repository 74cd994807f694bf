/**
 * What goes wrong in a run, from its seed: crashes at any operation, and disks that die, fill, rot, slow down, fail to sync, or lose
 * their directory. No more than m disks are hurt at any time until everything was healed (machine.ts keeps count).
 */
import type { SimulatedGateway } from './gateway.ts';
import { type Machine, NODE_DIRECTORY, type NodeHardware } from './machine.ts';
import type { Prng } from './prng.ts';

const KIB = 1024;
/** A round of a dozen requests takes some hundred to a few thousand operations. */
const ROUND_OPERATIONS = 2500;

export interface FaultContext {
  readonly machine: Machine;
  readonly gateway: SimulatedGateway;
  readonly prng: Prng;
  readonly parityCount: number;
  readonly trace: (line: string) => void;
  /** Told before each fault: from then on writes may be refused. */
  readonly onTrouble: () => void;
  /** Work that a fault started and that the run must wait for. */
  readonly running: Set<Promise<unknown>>;
}

type Fault = (context: FaultContext, hardware: NodeHardware) => void;

/** Damage to what is stored, or a disk away: only while fewer than m are hurt. */
const hurting: Record<string, Fault> = {
  'directory removed': (_context, hardware) => {
    hardware.isDamaged = true;
    hardware.disk.removeTree(NODE_DIRECTORY);
  },
  'disk dies': (_context, hardware) => {
    hardware.failure = 'EIO';
  },
  'bits flip': (context, hardware) => {
    hardware.isDamaged = true;
    eachSegment(context, hardware, (path, sizeBytes) => {
      const { prng } = context;
      for (let flips = prng.between(1, 4); flips > 0; flips--)
        hardware.disk.flipBit(path, prng.below(sizeBytes), prng.below(8));
    });
  },
  'sectors unreadable': (context, hardware) => {
    hardware.isDamaged = true;
    eachSegment(context, hardware, (path, sizeBytes) => {
      const from = context.prng.below(sizeBytes);
      hardware.disk.failReads(path, from, from + context.prng.pick([1, 4096, 200 * KIB]));
    });
  },
  'segment removed': (context, hardware) => {
    hardware.isDamaged = true;
    const { disk } = hardware;
    eachSegment(context, hardware, (path) => background(context, disk.remove(path)));
  },
  'fsync fails': (_context, hardware) => {
    hardware.isAway = true;
    hardware.disk.failNextSync('.seg');
  },
  'write fails': (_context, hardware) => {
    hardware.isAway = true;
    hardware.disk.failNextWrite('.seg');
  },
  'node stopped': (context, hardware) => {
    const { nodes } = context.gateway;
    const id = nodes.idOn(hardware.name);
    if (id === undefined) return;
    hardware.isAway = true;
    background(context, nodes.stop(id));
  },
  'node slow': (context, hardware) => {
    hardware.isAway = true;
    hardware.delayMs = context.prng.pick([30, 300, 3000]);
  },
};

/** What hurts nothing that is stored. */
const harmless: Record<string, Fault> = {
  'disk slows down a little': (context, hardware) => {
    hardware.delayMs = context.prng.between(1, 8);
  },
  'disk fills': (context, hardware) => {
    const { disk } = hardware;
    const usedBytes = disk.capacityBytes - disk.roomBytes();
    disk.capacityBytes = usedBytes + context.prng.below(400 * KIB);
  },
  'metadata fails': ({ machine, prng }) => {
    machine.metadata.failBatches(prng.between(1, 3));
  },
};

export function planFaults(context: FaultContext): void {
  const { machine, prng } = context;
  for (let count = prng.pick([0, 0, 1, 2, 3, 5]); count > 0; count--) {
    machine.plan(prng.below(ROUND_OPERATIONS), () => strike(context));
  }
  if (prng.chance(0.6)) {
    const kind = prng.chance(0.7) ? 'power' : 'kill';
    machine.plan(prng.below(prng.pick([60, 600, ROUND_OPERATIONS])), () => {
      if (prng.chance(0.5)) machine.crash(kind);
      else machine.crashSoon(kind);
    });
  }
}

function strike(context: FaultContext): void {
  const { machine, prng, parityCount, trace } = context;
  const hardware = prng.pick(machine.disks);
  const mayHurt = hardware.isHurt || machine.hurtCount() < parityCount;
  const faults = { ...harmless, ...(mayHurt && hardware.failure === undefined ? hurting : {}) };
  const [name, fault] = prng.pick(Object.entries(faults));
  context.onTrouble();
  trace(`fault at ${machine.operations}: ${name}, ${hardware.name}`);
  fault(context, hardware);
}

/** One segment of the disk, chosen now, with its size. */
function eachSegment(
  context: FaultContext,
  hardware: NodeHardware,
  visit: (path: string, sizeBytes: number) => void,
): void {
  const { machine, prng } = context;
  const { disk } = hardware;
  const find = async () => {
    const paths = await machine.segments(hardware);
    if (paths.length === 0) return;
    const path = prng.pick(paths);
    const sizeBytes = disk.fileSizeBytes(path);
    if (sizeBytes > 0) visit(path, sizeBytes);
  };
  background(context, find());
}

/** The power may go meanwhile, or the file. */
function background({ running }: FaultContext, work: Promise<unknown>): void {
  const done: Promise<unknown> = work.catch(() => undefined).finally(() => running.delete(done));
  running.add(done);
}

/** Everything that can be repaired by hand is: disks answer again, have room, and are as fast as they were. */
export async function repairHardware(context: FaultContext): Promise<void> {
  const { machine, gateway, prng, trace, running } = context;
  machine.forgetPlans();
  machine.metadata.failBatches(0);
  await Promise.all(running);
  for (const hardware of machine.disks) {
    hardware.delayMs = 0;
    hardware.disk.capacityBytes = 2 ** 40;
    hardware.disk.failNextSync('nothing that exists');
    const id = gateway.nodes.idOn(hardware.name);
    const isDead = hardware.failure !== undefined;
    if (id === undefined) continue;
    if (isDead && prng.chance(0.5)) {
      const spare = machine.addDisk();
      trace(`node ${id} on ${hardware.name} is replaced by one on ${spare.name}`);
      await gateway.nodes.replace(id, spare.name);
      await gateway.healer.nodeLost(id, 'node replaced');
      hardware.isRetired = true;
    } else if (isDead || hardware.isAway) {
      hardware.failure = undefined;
      trace(`node ${id} on ${hardware.name} is started again`);
      await gateway.nodes.stop(id);
      await gateway.nodes.start(id).catch((error: unknown) => trace(`it does not start: ${error}`));
    }
  }
  gateway.healer.wake();
}
