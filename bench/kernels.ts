/** The kernels, with tinybench, on one thread: GB/s of the bytes that go in. Run with `npm run bench`. */
import { randomFillSync } from 'node:crypto';
import { blake3 as nobleBlake3 } from '@noble/hashes/blake3.js';
import { Bench } from 'tinybench';
import { blake3 } from '../src/coding/blake3.ts';
import { createDigest } from '../src/coding/digest.ts';
import { digestAlgorithms } from '../src/coding/digests.ts';
import { availableCodecs } from '../src/coding/registry.ts';
import { openRun, sealedRunLength, sealRun } from '../src/crypto/chunked.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const shared = (bytes: number) => randomFillSync(new Uint8Array(new ArrayBuffer(bytes)));

const bench = new Bench({ time: 400, warmupTime: 100 });
const bytesOf = new Map<string, number>();
function add(name: string, bytes: number, work: () => unknown): void {
  bytesOf.set(name, bytes);
  bench.add(name, work);
}

for (const [k, m] of [
  [4, 2],
  [10, 4],
  [16, 4],
] as const) {
  const shard = 256 * KIB;
  const data = Array.from({ length: k }, () => shared(shard));
  const parity = Array.from({ length: m }, () => shared(shard));
  for (const codec of availableCodecs) {
    add(`encode ${k}+${m}, ${codec.name}`, k * shard, () => codec.encode(k, m, data, parity));
    const present = [...data, ...parity].map((view, index) => (index < m ? undefined : view));
    const wanted = new Map(Array.from({ length: m }, (_, index) => [index, new Uint8Array(shard)]));
    codec.encode(k, m, data, parity);
    add(`decode ${m} of ${k}+${m}, ${codec.name}`, k * shard, () => codec.decode(k, m, present, wanted));
  }
}
const megabyte = shared(MIB);
add('BLAKE3 1 MiB', MIB, () => blake3(megabyte));
const small = megabyte.subarray(0, 64 * KIB);
add('BLAKE3 64 KiB', small.length, () => blake3(small));
add('BLAKE3 64 KiB, @noble/hashes', small.length, () => nobleBlake3(small));
const sealKeys = { aeadKey: shared(32), baseNonce: shared(12) };
const sealed = new Uint8Array(sealedRunLength(MIB, false));
add('seal 1 MiB (AES-256-GCM chunks)', MIB, () => sealRun(sealKeys, 0, megabyte, false, sealed));
sealRun(sealKeys, 0, megabyte, false, sealed);
const opened = new Uint8Array(MIB);
add('open 1 MiB (AES-256-GCM chunks)', MIB, () => openRun(sealKeys, 0, sealed, false, opened));
for (const algorithm of digestAlgorithms) {
  add(`${algorithm} 1 MiB`, MIB, () => {
    const digest = createDigest(algorithm);
    digest.update(megabyte);
    return digest.digest();
  });
}

await bench.run();
for (const { name, result } of bench.tasks) {
  if (result.state !== 'completed') throw new Error(`${name}: ${result.state}`);
  const rate = (bytesOf.get(name) ?? 0) / (result.latency.p50 * 1e6);
  process.stdout.write(
    `${name.padEnd(52)} ${rate.toFixed(2).padStart(7)} GB/s  p50 ${(result.latency.p50 * 1000).toFixed(1)} µs\n`,
  );
}
