/**
 * Random calls of the native BLAKE3 against @noble/hashes: short messages for the most part, since that is where lengths matter, at any
 * alignment, in pieces, side by side, now and then long. Every output lies between guards, so that a write outside of it shows. Calls
 * that are wrong by intent must be refused and change nothing.
 */
import { blake3 as noble } from '@noble/hashes/blake3.js';
import { type NativeAddon, native } from '../../src/base/native.ts';
import { Random } from './random-source.ts';

const ARENA_BYTES = 1 << 18;
const OUTPUT_BYTES_MAX = 200;
const GUARD_BYTES = 16;
const GUARD = 0xa7;
const GROUP_BYTES = 16_384;
const CALLS_PER_LEVEL = 100;

class Call {
  readonly random: Random;
  private readonly arena: Uint8Array;
  private readonly guarded = new Uint8Array(OUTPUT_BYTES_MAX + 2 * GUARD_BYTES);

  constructor(random: Random, arena: Uint8Array) {
    this.random = random;
    this.arena = arena;
  }

  length(): number {
    const kind = this.random.below(200);
    if (kind === 0) return this.random.below(120_000);
    if (kind < 4) return 1024 * this.random.below(20) + this.random.below(3);
    return kind < 20 ? this.random.below(2100) : this.random.below(140);
  }

  /** Now and then with nothing around them, where a sanitizer sees who reads too far. */
  bytes(length = this.length()): Uint8Array {
    const start = this.random.below(this.arena.length - length + 1);
    const view = this.arena.subarray(start, start + length);
    return this.random.below(16) === 0 ? view.slice() : view;
  }

  key(): Uint8Array | undefined {
    return this.random.below(2) === 0 ? this.bytes(32) : undefined;
  }

  /** Runs a call that fills an output of this length, and compares. */
  check(what: string, length: number, call: (output: Uint8Array) => void, expected: Uint8Array): void {
    const start = GUARD_BYTES + this.random.below(8);
    const around = this.guarded.subarray(start - GUARD_BYTES, start + length + GUARD_BYTES).fill(GUARD);
    call(this.guarded.subarray(start, start + length));
    const [before, after] = [around.subarray(0, GUARD_BYTES), around.subarray(GUARD_BYTES + length)];
    if (![...before, ...after].every((byte) => byte === GUARD)) throw new Error(`${what}: wrote elsewhere`);
    this.same(what, around.subarray(GUARD_BYTES, GUARD_BYTES + length), expected);
  }

  same(what: string, ours: Uint8Array, theirs: Uint8Array): void {
    if (!Buffer.from(ours.buffer, ours.byteOffset, ours.length).equals(theirs))
      throw new Error(`${what}: other bytes than @noble/hashes`);
  }

  /** Cuts a message at random places. */
  pieces(message: Uint8Array): Uint8Array[] {
    const pieces = [];
    let at = 0;
    for (let i = this.random.below(6); i > 0 && at < message.length; i--) {
      const end = at + this.random.below(message.length - at + 1);
      pieces.push(message.subarray(at, end));
      at = end;
    }
    return [...pieces, message.subarray(at)];
  }
}

function expectedHash(message: Uint8Array, key: Uint8Array | undefined, length = 32): Uint8Array {
  return noble(message, key ? { key, dkLen: length } : { dkLen: length });
}

function oneShot(addon: NativeAddon, call: Call): void {
  const [message, key, length] = [call.bytes(), call.key(), 1 + call.random.below(OUTPUT_BYTES_MAX - 8)];
  const data = call.random.below(3) === 0 ? call.pieces(message) : message;
  const run = (output: Uint8Array) =>
    key ? addon.blake3Keyed(key, data, output) : addon.blake3Hash(data, output);
  call.check(`hash of ${message.length}`, length, run, expectedHash(message, key, length));
}

function derive(addon: NativeAddon, call: Call): void {
  const context = 'c'.repeat(call.random.below(80));
  const [material, length] = [call.bytes(), 1 + call.random.below(OUTPUT_BYTES_MAX - 8)];
  const expected = noble(material, { context: Buffer.from(context), dkLen: length });
  const run = (output: Uint8Array) => addon.blake3Derive(context, material, output);
  call.check(`derived from ${material.length}`, length, run, expected);
}

function many(addon: NativeAddon, call: Call): void {
  const lengths = [call.length(), call.random.below(70), 64];
  const key = call.key();
  const list = Array.from({ length: call.random.below(40) }, () =>
    call.bytes(call.random.below(10) === 0 ? call.length() : call.random.pick(lengths)),
  );
  const outputs = Buffer.alloc(32 * list.length);
  addon.blake3Many(list, outputs, key);
  for (const [i, message] of list.entries())
    call.same(`message ${i} of many`, outputs.subarray(32 * i, 32 * i + 32), expectedHash(message, key));
}

function streamed(addon: NativeAddon, call: Call): void {
  const [message, key] = [call.bytes(), call.key()];
  const hasher = new addon.Blake3Hasher(key);
  for (const piece of call.pieces(message)) hasher.update(piece);
  const run = (output: Uint8Array) => hasher.digest(output);
  call.check(`stream of ${message.length}`, 32, run, expectedHash(message, key));
}

function grouped(addon: NativeAddon, call: Call): void {
  const message = call.bytes(GROUP_BYTES + 1 + call.random.below(3 * GROUP_BYTES));
  const key = call.key();
  const whole = message.length - (message.length % GROUP_BYTES);
  const cvs = Buffer.alloc((32 * whole) / GROUP_BYTES);
  addon.blake3Groups(message.subarray(0, whole), 0, cvs, key);
  const run = (output: Uint8Array) => addon.blake3FromGroups(cvs, message.subarray(whole), output, key);
  call.check(`groups of ${message.length}`, 32, run, expectedHash(message, key));
}

function proven(addon: NativeAddon, call: Call): void {
  const [message, key, groupBytes] = [call.bytes(), call.key(), call.random.pick([1024, GROUP_BYTES])];
  const { outboard, root } = addon.blake3Outboard(message, groupBytes, key);
  call.same(`root of ${message.length}`, root, expectedHash(message, key));
  const leaf = call.random.below(Math.max(1, Math.ceil(message.length / groupBytes)));
  const proof = addon.blake3Proof(outboard, message.length, groupBytes, leaf);
  const bytes = Buffer.from(message.subarray(leaf * groupBytes, (leaf + 1) * groupBytes));
  const verify = () => addon.blake3VerifyProof(root, message.length, groupBytes, leaf, bytes, proof, key);
  if (!verify()) throw new Error(`leaf ${leaf} of ${message.length} is refused`);
  const flipped = proof.length > 0 && call.random.below(2) === 0 ? proof : bytes;
  if (flipped.length === 0) return;
  flipped[call.random.below(flipped.length)]! ^= 1 << call.random.below(8);
  if (verify()) throw new Error(`a flipped bit in leaf ${leaf} of ${message.length} is accepted`);
}

/** Calls that nobody should make, as functions of valid arguments. */
const refused: readonly ((addon: NativeAddon, call: Call) => unknown)[] = [
  (addon, call) => {
    const both = call.bytes(64 + call.random.below(3000));
    addon.blake3Hash(both, both.subarray(both.length - 32));
  },
  (addon, call) => {
    const both = call.bytes(200);
    addon.blake3Many([both.subarray(0, 40), both.subarray(60)], both.subarray(30, 94));
  },
  (addon, call) =>
    addon.blake3Keyed(call.bytes(31 + 2 * call.random.below(2)), call.bytes(), new Uint8Array(32)),
  (addon) => addon.blake3Hash(new Float32Array(4) as never, new Uint8Array(32)),
  (addon, call) => addon.blake3Hash(call.bytes(), 'output' as never),
  (addon, call) => addon.blake3Hash(new Array<Uint8Array>(257).fill(call.bytes()), new Uint8Array(32)),
  (addon, call) =>
    addon.blake3Many(new Array<Uint8Array>(1025).fill(call.bytes()), new Uint8Array(32 * 1025)),
  (addon, call) => addon.blake3Groups(call.bytes(GROUP_BYTES), 2 ** 60, new Uint8Array(32)),
  (addon, call) => addon.blake3Groups(call.bytes(GROUP_BYTES), 1, new Uint8Array(32)),
  (addon, call) => addon.blake3Groups(call.bytes(GROUP_BYTES + 1), 0, new Uint8Array(32)),
  (addon, call) => addon.blake3FromGroups(call.bytes(32), new Uint8Array(0), new Uint8Array(32)),
  (addon, call) => addon.blake3Outboard(call.bytes(), call.random.pick([0, 512, 2 ** 31, -1, 1e300])),
  (addon, call) => addon.blake3Proof(call.bytes(64), 2 ** 53, 1024, 0),
  (addon, call) => addon.blake3Proof(call.bytes(64), 2048, 1024, call.random.pick([2, 2 ** 53, Number.NaN])),
];

function wrong(addon: NativeAddon, call: Call): void {
  const index = call.random.below(refused.length);
  try {
    refused[index]!(addon, call);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return;
    throw error;
  }
  throw new Error(`wrong call ${index} is not refused`);
}

/** A proof for what cannot be, with lengths up to 2^53, is refused and not followed. */
function forged(addon: NativeAddon, call: Call): void {
  const length = call.random.pick([0, 1, 1025, 2 ** 31, 2 ** 53]);
  const leaf = call.random.pick([0, 1, 2 ** 31, 2 ** 53]);
  const [bytes, proof] = [call.bytes(), call.bytes(64 * call.random.below(60))];
  if (
    addon.blake3VerifyProof(call.bytes(32), length, call.random.pick([1024, GROUP_BYTES]), leaf, bytes, proof)
  )
    throw new Error(`a forged proof for leaf ${leaf} of ${length} is accepted`);
}

/** How often of a thousand. */
const kinds: readonly (readonly [number, (addon: NativeAddon, call: Call) => void])[] = [
  [600, oneShot],
  [100, derive],
  [30, many],
  [120, streamed],
  [2, grouped],
  [48, proven],
  [60, wrong],
  [40, forged],
];

function pickKind(random: Random): (addon: NativeAddon, call: Call) => void {
  let left = random.below(1000);
  for (const [weight, kind] of kinds) {
    if (left < weight) return kind;
    left -= weight;
  }
  return oneShot;
}

/** @throws Error naming the seed, at the first call that differs */
export function randomBlake3(calls: number, seed: number): void {
  const { addon, reason } = native();
  if (!addon) throw new Error(reason);
  const before = addon.level();
  const random = new Random(seed);
  const call = new Call(random, random.fill(new Uint8Array(ARENA_BYTES)));
  try {
    for (let i = 0; i < calls; i++) {
      if (i % CALLS_PER_LEVEL === 0) addon.selectLevel(random.pick(addon.levels()));
      try {
        pickKind(random)(addon, call);
      } catch (error) {
        throw new Error(`call ${i} at ${addon.level()}, seed ${seed}`, { cause: error });
      }
    }
  } finally {
    addon.selectLevel(before);
  }
}
