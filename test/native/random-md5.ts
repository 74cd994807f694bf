/** Random calls of the native MD5 against node's: one stream, many at once in random pieces, and wrong ones. */
import { createHash, type Hash } from 'node:crypto';
import type { NativeAddon, NativeMd5State } from '../../src/base/native.ts';
import { atLevels, requireAddon } from './levels.ts';
import { Random } from './random-source.ts';
import { mustRefuse, noBytes } from './wrong-arguments.ts';

const ARENA_BYTES = 1 << 20;
const CALLS_PER_LEVEL = 100;
const STREAMS_MAX = 16;

interface Call {
  readonly addon: NativeAddon;
  readonly random: Random;
  readonly arena: Uint8Array;
}

/** A native state and node's, fed with the same bytes. */
class Pair {
  readonly state: NativeMd5State;
  private readonly addon: NativeAddon;
  private readonly twin: Hash = createHash('md5');
  private fed = '';

  constructor(addon: NativeAddon) {
    this.addon = addon;
    this.state = addon.md5Create();
  }

  feedTwin(bytes: Uint8Array): void {
    this.twin.update(bytes);
    this.fed += ` ${bytes.length}`;
  }

  feed(bytes: Uint8Array): void {
    this.addon.md5Update(this.state, bytes);
    this.feedTwin(bytes);
  }

  /** @throws when the digests differ */
  finish(): void {
    const actual = this.addon.md5Digest(this.state);
    const expected = this.twin.digest();
    if (actual.equals(expected)) return;
    throw new Error(`after${this.fed}: ${actual.toString('hex')} instead of ${expected.toString('hex')}`);
  }
}

/** Mostly a few blocks, often none, rarely a thousand. */
function randomView({ random, arena }: Call): Uint8Array {
  const lengthMax = random.pick([0, 63, 70, 200, 200, 700, random.below(100) === 0 ? 1 << 16 : 130]);
  const length = random.below(lengthMax + 1);
  const start = random.below(ARENA_BYTES - length + 1);
  return arena.subarray(start, start + length);
}

function oneShot(call: Call): void {
  const bytes = randomView(call);
  const [actual, expected] = [call.addon.md5(bytes), createHash('md5').update(bytes).digest()];
  if (!actual.equals(expected)) throw new Error(`of ${bytes.length} bytes: ${actual.toString('hex')}`);
}

function inPieces(call: Call): void {
  const pair = new Pair(call.addon);
  for (let pieces = call.random.below(5); pieces > 0; pieces--) pair.feed(randomView(call));
  pair.finish();
}

function many(call: Call): void {
  const { addon, random } = call;
  const pairs = Array.from({ length: random.below(STREAMS_MAX + 1) }, () => new Pair(addon));
  const kernels = addon.md5Kernels();
  addon.md5SelectKernel(random.below(3) === 0 ? undefined : random.pick(kernels));
  try {
    for (let rounds = 1 + random.below(3); rounds > 0; rounds--) {
      const taking = random
        .shuffled(pairs.length)
        .slice(random.below(3))
        .map((i) => pairs[i]!);
      const views = taking.map(() => randomView(call));
      addon.md5UpdateMany(
        taking.map((pair) => pair.state),
        views,
      );
      for (const [i, view] of views.entries()) taking[i]!.feedTwin(view);
      if (pairs.length > 0 && random.below(2) === 0) random.pick(pairs).feed(randomView(call));
    }
  } finally {
    addon.md5SelectKernel();
  }
  for (const pair of pairs) pair.finish();
}

/** Refused calls take nothing in: the digests afterwards are those of what was fed before. */
function wrong(call: Call): void {
  const { addon, random } = call;
  const pairs = Array.from({ length: 3 }, () => new Pair(addon));
  for (const pair of pairs) pair.feed(randomView(call));
  const states = pairs.map((pair) => pair.state);
  const bytes = randomView(call);
  const views = states.map(() => bytes);
  const view = random.pick(noBytes) as Uint8Array;
  const noState = random.pick<unknown>([...noBytes, bytes, addon]) as NativeMd5State;
  const spent = addon.md5Create();
  addon.md5Digest(spent);
  const at = random.below(3);
  random.pick([
    () => mustRefuse(TypeError, () => addon.md5(view)),
    () => mustRefuse(TypeError, () => addon.md5Update(states[0]!, view)),
    () => mustRefuse(TypeError, () => addon.md5Update(noState, bytes)),
    () => mustRefuse(TypeError, () => addon.md5Update(Object.create(states[0]!) as NativeMd5State, bytes)),
    () => mustRefuse(TypeError, () => addon.md5Digest(noState)),
    () => mustRefuse(RangeError, () => addon.md5Digest(spent)),
    () => mustRefuse(RangeError, () => addon.md5Update(spent, bytes)),
    () => mustRefuse(RangeError, () => addon.md5UpdateMany(states.with(at, spent), views)),
    () => mustRefuse(TypeError, () => addon.md5UpdateMany(states.with(at, noState), views)),
    () => mustRefuse(TypeError, () => addon.md5UpdateMany(states, views.with(at, view))),
    () => mustRefuse(RangeError, () => addon.md5UpdateMany(states.with(at, states[(at + 1) % 3]!), views)),
    () => mustRefuse(RangeError, () => addon.md5UpdateMany(states, views.slice(1))),
    () => mustRefuse(RangeError, () => addon.md5UpdateMany(states, Array(17).fill(bytes))),
    () => mustRefuse(RangeError, () => addon.md5UpdateMany(Array(17).fill(states[0]), views)),
    () => mustRefuse(TypeError, () => addon.md5UpdateMany({ length: 3 } as never, views)),
    () => mustRefuse(TypeError, () => addon.md5SelectKernel(7 as never)),
    () => mustRefuse(RangeError, () => addon.md5SelectKernel('none')),
  ])();
  for (const pair of pairs) pair.finish();
}

const kinds = [oneShot, inPieces, many, many, many, wrong];

/** Runs calls at all levels in turn. @throws with the seed and the number of the call that failed */
export function randomMd5(calls: number, seed: number): void {
  const addon = requireAddon();
  const random = new Random(seed);
  const arenas = [new Uint8Array(ARENA_BYTES), new Uint8Array(new SharedArrayBuffer(ARENA_BYTES))];
  for (const arena of arenas) random.fill(arena);
  let n = 0;
  atLevels(addon, Math.ceil(calls / CALLS_PER_LEVEL), (level) => {
    for (let i = 0; i < CALLS_PER_LEVEL && n < calls; i++, n++) {
      const kind = random.pick(kinds);
      try {
        kind({ addon, random, arena: random.pick(arenas) });
      } catch (error) {
        throw new Error(`seed ${seed}, call ${n} (${kind.name}) at level ${level}: ${error}`, {
          cause: error,
        });
      }
    }
  });
}
