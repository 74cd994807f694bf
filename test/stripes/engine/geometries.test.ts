/**
 * The native engine beside the one that is written in TypeScript, from seeds: the same fragments, roots, rebuilt ranges, plaintext and
 * refusals, at random geometries of both codecs, with full stripes, narrower ones, and bodies of no, one, or almost a chunk's bytes.
 */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { nativeJobs } from '../../../src/base/nativejobs.ts';
import { MIB } from '../../../src/base/units.ts';
import { CAUCHY_CODEC_ID } from '../../../src/coding/cauchy.ts';
import { RONOMON_CODEC_ID } from '../../../src/coding/ronomon.ts';
import { InlineEngine } from '../../../src/stripes/engine/inline.ts';
import { fragmentView } from '../../../src/stripes/engine/kernels.ts';
import { NativeEngine } from '../../../src/stripes/engine/native.ts';
import type {
  LocalPiece,
  LostPiece,
  OpenRequest,
  SealedStripe,
  StripeEngine,
} from '../../../src/stripes/engine/types.ts';
import { stripePlaintextBytesMax, stripeShape } from '../../../src/stripes/shape.ts';
import type { Profile, SealRun } from '../../../src/stripes/types.ts';
import { patternBytes } from '../../conformance/codec.ts';
import { sharedCopy } from '../../conformance/engine.ts';
import { Prng } from '../../simulation/prng.ts';

const jobs = nativeJobs();
const CHUNK = 16_384;
const SEALED = CHUNK + 16;
const ROUNDS = 40;
/** Full stripes of wide parity would be as large as memory. */
const FULL_BYTES_MAX = 16 * MIB;
const bufferCounts = { write: 1, read: 1, rescue: 1, repair: 1 };
const fixed = [
  [1, 0],
  [1, 1],
  [1, 254],
  [254, 1],
  [128, 127],
  [255, 0],
] as const;

function randomProfile(prng: Prng, round: number): Profile {
  const codecId = round % 4 === 3 ? RONOMON_CODEC_ID : CAUCHY_CODEC_ID;
  if (codecId === RONOMON_CODEC_ID) return { k: 1 + prng.below(24), m: 1 + prng.below(6), codecId };
  const [k, m] = fixed[round - (round >> 2)] ?? [1 + prng.below(24), prng.below(7)];
  return { k, m, codecId };
}

/** Some streams one behind the other, as small bodies that share a stripe, or part of a large one; at times a whole stripe of one. */
function randomRuns(prng: Prng, round: number, { k, m }: Profile): SealRun[] {
  const keys = () => ({ aeadKey: prng.bytes(32), baseNonce: prng.bytes(12) });
  const full = stripePlaintextBytesMax(k);
  if (prng.chance(0.2) && full * (1 + m / k) < FULL_BYTES_MAX) {
    const firstChunkIndex = prng.below(2 ** 37);
    const final = prng.chance(0.3);
    return [{ ...keys(), plaintextOffsetBytes: 0, plaintextLengthBytes: full, firstChunkIndex, final }];
  }
  const runs: SealRun[] = [];
  let at = 0;
  for (let i = 0, count = prng.below(3) === 0 ? 1 : 1 + prng.below(20); i < count; i++) {
    const final = prng.below(3) > 0;
    const lengths = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, prng.below(5 * CHUNK)];
    const wanted = lengths[(round + i) % lengths.length]!;
    const plaintextLengthBytes = final ? wanted : Math.ceil(wanted / CHUNK) * CHUNK;
    if (!final && plaintextLengthBytes === 0) continue;
    const firstChunkIndex = prng.below(2 ** 31);
    runs.push({ ...keys(), plaintextOffsetBytes: at, plaintextLengthBytes, firstChunkIndex, final });
    at += plaintextLengthBytes;
  }
  return runs;
}

interface Sealed {
  readonly stripe: SealedStripe;
  readonly plaintext: Buffer;
  readonly fragments: Buffer;
}

async function sealed(engine: StripeEngine, runs: readonly SealRun[], profile: Profile): Promise<Sealed> {
  const buffer = await engine.acquireWrite();
  try {
    const last = runs.at(-1)!;
    const plaintext = Buffer.from(patternBytes(last.plaintextOffsetBytes + last.plaintextLengthBytes, 4));
    buffer.plaintext.set(plaintext);
    const stripe = await engine.seal(buffer, runs, profile);
    const bytes = stripe.fragmentLengthBytes * (profile.k + profile.m);
    return { stripe, plaintext, fragments: Buffer.from(buffer.fragments.subarray(0, bytes)) };
  } finally {
    buffer.release();
  }
}

/** What an engine makes of a call: the same for both, also when it refuses and which chunk it names. */
const outcome = (call: Promise<unknown>) =>
  call.then(
    (value) => ({ value }),
    (error: Error & { code?: string }) => ({ code: error.code, chunk: /chunk \d+/.exec(error.message)?.[0] }),
  );

/** Some of the fragments from as many others as it takes, or ranges of them. */
function rebuilt(engine: StripeEngine, profile: Profile, { stripe, fragments }: Sealed, seed: number) {
  const prng = new Prng(seed);
  const { k, m, codecId } = profile;
  const length = stripe.fragmentLengthBytes;
  const [from, to] = codecId === CAUCHY_CODEC_ID ? [prng.below(length), length] : [0, length];
  const end = prng.chance(0.5) ? to : from + prng.below(to - from + 1);
  const range = codecId === CAUCHY_CODEC_ID ? ([from, end] as const) : ([0, length] as const);
  const lost = new Set(Array.from({ length: prng.below(m + 2) }, () => prng.below(k + m)));
  const view = (i: number) => fragmentView(fragments, i, length).subarray(...range);
  const present = Array.from({ length: k + m }, (_, i) => (lost.has(i) ? undefined : sharedCopy(view(i))));
  const wanted = new Map([...lost].map((i) => [i, sharedCopy(Buffer.alloc(range[1] - range[0]))]));
  const expected = [...lost].map((i) => Buffer.from(view(i)));
  const call = engine.reconstruct(profile, present, wanted);
  const result = call.then((roots) => ({
    roots,
    found: [...wanted.values()].map((one) => Buffer.from(one)),
  }));
  return { result: outcome(result), expected, can: lost.size <= m };
}

/** The same payload with fewer data fragments. */
async function narrower(engine: StripeEngine, { k, m, codecId }: Profile, one: Sealed, seed: number) {
  const profile = { k: 1 + new Prng(seed).below(k), m, codecId };
  const { payloadLengthBytes } = one.stripe;
  const shape = stripeShape(payloadLengthBytes, profile.k);
  const area = sharedCopy(Buffer.alloc((profile.k + m) * shape.fragmentLengthBytes, 0xee));
  area.set(one.fragments.subarray(0, payloadLengthBytes));
  const result = await outcome(engine.encode(area, payloadLengthBytes, profile));
  return { result, area: Buffer.from(area) };
}

/** Opens whole chunks somewhere in a run, at times damaged or cut short. */
function openRequest(
  runs: readonly SealRun[],
  one: Sealed,
  seed: number,
): OpenRequest & { damaged: boolean } {
  const prng = new Prng(seed);
  const index = prng.below(runs.length);
  const run = runs[index]!;
  const { offsetBytes, lengthBytes } = one.stripe.ranges[index]!;
  const skipped = prng.below(Math.floor((lengthBytes - 1) / SEALED) + 1);
  const payload = one.fragments.subarray(offsetBytes + skipped * SEALED, offsetBytes + lengthBytes);
  const ciphertext = sharedCopy(prng.chance(0.1) ? payload.subarray(0, -1) : payload);
  const damaged = ciphertext.length < payload.length || prng.chance(0.2);
  if (damaged && ciphertext.length > 0) {
    const at = prng.below(ciphertext.length);
    ciphertext[at] = ciphertext[at]! ^ (1 << prng.below(8));
  }
  return {
    ...{ ciphertext, plaintext: sharedCopy(Buffer.alloc(payload.length)), damaged },
    ...{ aeadKey: run.aeadKey, baseNonce: run.baseNonce, final: run.final },
    firstChunkIndex: run.firstChunkIndex + skipped,
  };
}

async function opened(engine: StripeEngine, request: OpenRequest) {
  const plaintext = sharedCopy(request.plaintext);
  const result = await outcome(engine.openChunks({ ...request, plaintext }));
  const bytes = 'value' in result ? (result.value as number) : 0;
  return { result, content: Buffer.from(plaintext.subarray(0, bytes)) };
}

/** The payload's first run, read from a file in random pieces, some of which are of lost fragments. */
async function readBack(engine: NativeEngine, run: SealRun, profile: Profile, one: Sealed, seed: number) {
  const prng = new Prng(seed);
  const { k, m } = profile;
  const { fragmentLengthBytes } = one.stripe;
  const { lengthBytes } = one.stripe.ranges[0]!;
  const path = join(tmpdir(), `holdfast-geometries-${process.pid}`);
  const descriptor = openSync(path, 'w+');
  try {
    writeSync(descriptor, one.fragments);
    const lost = new Set(Array.from({ length: prng.below(m + 1) }, () => prng.below(k + m)));
    const pieces: (LocalPiece | LostPiece)[] = [];
    for (let at = 0; at < lengthBytes; ) {
      const index = Math.floor(at / fragmentLengthBytes);
      const offsetBytes = at % fragmentLengthBytes;
      const left = Math.min(fragmentLengthBytes - offsetBytes, lengthBytes - at);
      const cuts = k < 64 && pieces.length < 60 && prng.chance(0.5);
      const length: number = cuts ? 1 + prng.below(left) : left;
      const piece = lost.has(index)
        ? { lostIndex: index, offsetBytes, lengthBytes: length }
        : { descriptor, positionBytes: at, lengthBytes: length };
      pieces.push(piece);
      at += length;
    }
    const sound = Array.from({ length: k + m }, (_, i) => i).filter((i) => !lost.has(i));
    const sources = sound.slice(-k).map((index) => ({
      ...{ index, descriptor, positionBytes: index * fragmentLengthBytes },
    }));
    const plaintext = sharedCopy(Buffer.alloc(run.plaintextLengthBytes));
    const ciphertext = sharedCopy(Buffer.alloc(lengthBytes));
    const { aeadKey, baseNonce, firstChunkIndex, final } = run;
    const request = { ciphertext, plaintext, aeadKey, baseNonce, firstChunkIndex, final };
    const bytes = await engine.readAndOpen(request, pieces, lost.size > 0 ? { k, m, sources } : undefined);
    return Buffer.from(plaintext.subarray(0, bytes));
  } finally {
    closeSync(descriptor);
    rmSync(path);
  }
}

async function tryRound(round: number): Promise<void> {
  const prng = new Prng(5000 + round);
  const profile = randomProfile(prng, round);
  const runs = randomRuns(prng, round, profile);
  if (runs.length === 0) return;
  const what = `round ${round}, codec ${profile.codecId}, ${profile.k} + ${profile.m}, ${runs.length} runs`;
  const native = new NativeEngine(jobs!, { profile, bufferCounts });
  const portable = new InlineEngine({ profile, bufferCounts });
  const engines = [native, portable] as const;
  const [a, b] = [await sealed(native, runs, profile), await sealed(portable, runs, profile)];
  expect(a.stripe, what).toEqual(b.stripe);
  expect(Buffer.compare(a.fragments, b.fragments), what).toBe(0);

  for (let i = 0; i < 3; i++) {
    const seed = 31 * round + i;
    const [ours, theirs] = engines.map((engine) => rebuilt(engine, profile, b, seed));
    const result = await ours!.result;
    expect(result, `${what}, rebuilding, seed ${seed}`).toEqual(await theirs!.result);
    expect('value' in result, what).toBe(ours!.can);
    if ('value' in result) expect(result.value, what).toMatchObject({ found: ours!.expected });

    const { damaged, ...request } = openRequest(runs, b, seed);
    const [here, there] = await Promise.all(engines.map((engine) => opened(engine, request)));
    expect(here, `${what}, opening, seed ${seed}`).toEqual(there);
    expect('value' in here!.result, what).toBe(!damaged);
  }

  const fewer = await Promise.all(engines.map((engine) => narrower(engine, profile, b, round)));
  expect(fewer[0]!.result, `${what}, narrower`).toEqual(fewer[1]!.result);
  expect(Buffer.compare(fewer[0]!.area, fewer[1]!.area), `${what}, narrower`).toBe(0);

  if (profile.codecId === CAUCHY_CODEC_ID) {
    const content = await readBack(native, runs[0]!, profile, b, round);
    expect(content.equals(b.plaintext.subarray(0, runs[0]!.plaintextLengthBytes)), `${what}, file`).toBe(
      true,
    );
  }
  await Promise.all(engines.map((engine) => engine.close()));
}

describe.skipIf(!jobs?.addon.canSeal())('the native engine beside the portable one', () => {
  test('agrees at any geometry', async () => {
    for (let round = 0; round < ROUNDS; round++) await tryRound(round);
  });
});
