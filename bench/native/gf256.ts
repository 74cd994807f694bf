/**
 * Reed–Solomon on one thread, with tinybench: the native coder beside @ronomon/reed-solomon in the same run, encoding and
 * rebuilding m lost data shards. The package answers by callback from libuv's pool; it gets a pool of one thread and several
 * calls in flight, so that this thread never waits for the event loop, and one buffer for data and parity, as in its own
 * benchmark. Ours runs as many calls.
 *
 *   node bench/native/gf256.ts
 */
import { randomFillSync } from 'node:crypto';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Bench } from 'tinybench';
import { native } from '../../src/base/native.ts';
import { codecById } from '../../src/coding/registry.ts';

const KIB = 1024;
const CALLS = 8;
const geometries = [
  [4, 2],
  [10, 4],
  [16, 4],
] as const;
const shardSizes = [64 * KIB, 256 * KIB, 1024 * KIB];

interface Ronomon {
  create(k: number, m: number): Buffer;
  encode(
    context: Buffer,
    sources: number,
    targets: number,
    data: Uint8Array,
    dataOffset: number,
    dataSize: number,
    parity: Uint8Array,
    parityOffset: number,
    paritySize: number,
    done: (error?: Error) => void,
  ): void;
}

function loadRonomon(): Ronomon | undefined {
  try {
    return createRequire(import.meta.url)('@ronomon/reed-solomon') as Ronomon;
  } catch {
    return undefined;
  }
}

/** The bits from `from` up to `to`. */
const bits = (from: number, to: number) => 2 ** to - 2 ** from;

/** Calls the package with shards in one buffer, and waits for the last of CALLS answers. */
function ronomonCalls(
  ronomon: Ronomon,
  k: number,
  m: number,
  shard: number,
  sources: number,
  targets: number,
) {
  const context = ronomon.create(k, m);
  const area = randomFillSync(Buffer.alloc((k + m) * shard));
  return () =>
    new Promise<void>((resolve, reject) => {
      let waiting = CALLS;
      const done = (error?: Error) => {
        if (error) reject(error);
        else if (--waiting === 0) resolve();
      };
      for (let call = 0; call < CALLS; call++) {
        ronomon.encode(context, sources, targets, area, 0, k * shard, area, k * shard, m * shard, done);
      }
    });
}

function repeated(work: () => void): () => void {
  return () => {
    for (let call = 0; call < CALLS; call++) work();
  };
}

/** What is measured of a geometry and size, by name. */
function tasks(k: number, m: number, shard: number): Map<string, () => unknown> {
  const { addon, reason } = native();
  if (!addon) throw new Error(`no addon: ${reason}`);
  const coder = new addon.Gf256Coder(k, m);
  const codec = codecById(1);
  const area = randomFillSync(new Uint8Array((k + m) * shard));
  const [data, parity] = [area.subarray(0, k * shard), area.subarray(k * shard)];
  const shards = Array.from({ length: k + m }, (_, i) => area.subarray(i * shard, (i + 1) * shard));
  const present = shards.map((view, i) => (i < m ? undefined : view));
  const indices = Uint8Array.from({ length: m }, (_, i) => i);
  const wanted = new Map(Array.from(indices, (i) => [i, shards[i]!]));
  coder.encodeArea(data, parity, shard);
  const all = new Map<string, () => unknown>([
    ['encode', repeated(() => coder.encodeArea(data, parity, shard))],
    ['decode', repeated(() => coder.decode(present, indices, shards.slice(0, m)))],
    ['codec encode', repeated(() => codec.encode(k, m, shards.slice(0, k), shards.slice(k)))],
    ['codec decode', repeated(() => codec.decode(k, m, present, wanted))],
  ]);
  const ronomon = loadRonomon();
  if (ronomon) {
    all.set('@ encode', ronomonCalls(ronomon, k, m, shard, bits(0, k), bits(k, k + m)));
    all.set('@ decode', ronomonCalls(ronomon, k, m, shard, bits(m, k + m), bits(0, m)));
  }
  return all;
}

/** GB/s of data of each task. */
async function measure(k: number, m: number, shard: number): Promise<Map<string, number>> {
  const bench = new Bench({ time: 250, warmupTime: 50 });
  for (const [name, work] of tasks(k, m, shard)) bench.add(name, work);
  await bench.run();
  return new Map(
    bench.tasks.map(({ name, result }) => {
      if (result.state !== 'completed') throw new Error(`${name}: ${result.state}`);
      return [name, (CALLS * k * shard) / (result.latency.p50 * 1e6)];
    }),
  );
}

export async function benchGf256(): Promise<void> {
  const line = (cells: string[]) =>
    process.stdout.write(`${cells.map((cell) => cell.padStart(13)).join('')}\n`);
  process.stdout.write(
    `Reed–Solomon, level ${native().addon?.level()}, GB/s of data; × of @ronomon/reed-solomon\n`,
  );
  line([
    'k + m',
    'KiB a shard',
    'encode',
    '×',
    'decode',
    '×',
    'codec encode',
    'codec decode',
    '@ encode',
    '@ decode',
  ]);
  for (const [k, m] of geometries) {
    for (const shard of shardSizes) {
      const rates = await measure(k, m, shard);
      const rate = (name: string) => rates.get(name)?.toFixed(1) ?? '–';
      const ratio = (name: string) =>
        ((rates.get(name) ?? 0) / (rates.get(`@ ${name}`) ?? Number.NaN)).toFixed(1);
      line([
        `${k} + ${m}`,
        String(shard / KIB),
        ...[rate('encode'), ratio('encode'), rate('decode'), ratio('decode')],
        ...[rate('codec encode'), rate('codec decode'), rate('@ encode'), rate('@ decode')],
      ]);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.env['UV_THREADPOOL_SIZE'] = '1';
  await benchGf256();
}
