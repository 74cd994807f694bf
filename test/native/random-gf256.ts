/**
 * Random calls of the native Reed–Solomon functions against the portable twin: both work on an arena of the same layout, and afterwards
 * the arenas must be equal to the last byte, so that a write outside an output shows as well. Calls that are wrong by intent must be
 * refused and change nothing.
 */
import { type NativeAddon, native } from '../../src/base/native.ts';
import { cauchyCodec, parityRow } from '../../src/coding/cauchy.ts';
import { combine } from '../../src/coding/combine.ts';
import { Random } from './random-source.ts';

const ARENA_BYTES = 1 << 18;
const CALLS_PER_LEVEL = 100;
const GAP_BYTES_MAX = 40;

interface Arena {
  readonly bytes: Uint8Array;
  /** What the portable twin works on. */
  readonly twin: Uint8Array;
}

type Extent = readonly [start: number, length: number];

class Call {
  readonly random: Random;
  private readonly arena: Arena;
  private end = 0;

  constructor(random: Random, arena: Arena) {
    this.random = random;
    this.arena = arena;
  }

  /** The next extents of the arena, at any alignment, with gaps between them. */
  extents(count: number, length: number): Extent[] {
    return Array.from({ length: count }, () => {
      const start = this.end + this.random.below(GAP_BYTES_MAX);
      this.end = start + length;
      return [start, length] as const;
    });
  }

  /** Random bytes up to the last extent and a little beyond, the same in both. */
  fill(): void {
    this.end = Math.min(this.end + GAP_BYTES_MAX, ARENA_BYTES);
    this.random.fill(this.arena.bytes.subarray(0, this.end));
    this.arena.twin.set(this.arena.bytes.subarray(0, this.end));
  }

  native(extents: readonly Extent[]): Uint8Array[] {
    return extents.map(([start, length]) => this.arena.bytes.subarray(start, start + length));
  }

  twin(extents: readonly Extent[]): Uint8Array[] {
    return extents.map(([start, length]) => this.arena.twin.subarray(start, start + length));
  }

  compare(what: string): void {
    const [ours, theirs] = [this.arena.bytes, this.arena.twin].map((bytes) =>
      Buffer.from(bytes.buffer, bytes.byteOffset, this.end),
    );
    if (!ours!.equals(theirs!)) throw new Error(`${what}: other bytes than the portable twin`);
  }
}

function geometry(random: Random): [k: number, m: number, length: number] {
  if (random.below(100) === 0) {
    const k = 1 + random.below(254);
    return [k, random.below(256 - k), random.below(random.below(4) === 0 ? 700 : 140)];
  }
  return [1 + random.below(8), random.below(6), random.below(random.below(8) === 0 ? 1100 : 140)];
}

function encodeLists(addon: NativeAddon, call: Call): void {
  const [k, m, length] = geometry(call.random);
  const data = call.extents(k, length);
  const parity = call.extents(m, length);
  call.fill();
  new addon.Gf256Coder(k, m).encode(call.native(data), call.native(parity));
  cauchyCodec.encode(k, m, call.twin(data), call.twin(parity));
  call.compare(`encode ${k}+${m} of ${length}`);
}

function encodeAreas(addon: NativeAddon, call: Call): void {
  const [k, m, length] = geometry(call.random);
  const areas = [...call.extents(1, k * length), ...call.extents(1, m * length)];
  call.fill();
  const [data, parity] = call.native(areas);
  new addon.Gf256Coder(k, m).encodeArea(data!, parity!, length);
  const shards = (area: Uint8Array, count: number) =>
    Array.from({ length: count }, (_, i) => area.subarray(i * length, (i + 1) * length));
  const [twinData, twinParity] = call.twin(areas);
  cauchyCodec.encode(k, m, shards(twinData!, k), shards(twinParity!, m));
  call.compare(`encodeArea ${k}+${m} of ${length}`);
}

/** Of shards that need not belong together: both sides compute the same of any bytes. */
function decode(addon: NativeAddon, call: Call): void {
  const [k, m, length] = geometry(call.random);
  const extents = call.extents(k + m, length);
  call.fill();
  const lost = call.random.shuffled(k + m).slice(0, call.random.below(m + 1));
  const wanted = lost.slice(0, call.random.below(lost.length + 1));
  const [ours, twins] = [call.native(extents), call.twin(extents)];
  const present = (views: Uint8Array[]) => views.map((view, i) => (lost.includes(i) ? undefined : view));
  new addon.Gf256Coder(k, m).decode(
    present(ours),
    Uint8Array.from(wanted),
    wanted.map((i) => ours[i]!),
  );
  cauchyCodec.decode(k, m, present(twins), new Map(wanted.map((i) => [i, twins[i]!])));
  call.compare(`decode ${wanted} of ${k}+${m} without ${lost}, ${length} bytes`);
}

function combineAny(addon: NativeAddon, call: Call): void {
  const [columns, m, length] = geometry(call.random);
  const rows = m + 1;
  const [sources, outputs] = [call.extents(columns, length), call.extents(rows, length)];
  call.fill();
  const matrix = call.random.fill(new Uint8Array(rows * columns));
  addon.gf256Combine(matrix, rows, columns, call.native(sources), call.native(outputs));
  const twinRows = outputs.map((_, r) => matrix.subarray(r * columns, (r + 1) * columns));
  combine(twinRows, call.twin(sources), call.twin(outputs));
  call.compare(`combine ${rows} x ${columns} of ${length}`);
}

function mustRefuse(what: string, error: typeof TypeError | typeof RangeError, work: () => void): void {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof error) return;
    throw new Error(`${what}: ${thrown} instead of ${error.name}`);
  }
  throw new Error(`${what}: not refused`);
}

/** An output that lies, by mistake, on a source or on another output. */
function overlapping(addon: NativeAddon, call: Call): void {
  const { random } = call;
  const [k, m, length] = [1 + random.below(6), 1 + random.below(4), 1 + random.below(200)];
  const extents = call.extents(k + m, length);
  call.fill();
  const shift = random.below(2 * length - 1) - (length - 1);
  const output = k + random.below(m);
  const other = random.below(k + m);
  if (other === output || extents[other]![0] + shift < 0) return;
  const moved = extents.map((extent, i) =>
    i === output ? ([extents[other]![0] + shift, length] as const) : extent,
  );
  const views = call.native(moved);
  mustRefuse(`${k}+${m} of ${length} with ${output} on ${other}`, RangeError, () =>
    new addon.Gf256Coder(k, m).encode(views.slice(0, k), views.slice(k)),
  );
  const rows = Array.from({ length: m }, (_, i) => [...parityRow(k, i)]).flat();
  mustRefuse(`combine with ${output} on ${other}`, RangeError, () =>
    addon.gf256Combine(Uint8Array.from(rows), m, k, views.slice(0, k), views.slice(k)),
  );
  call.compare('refused overlap');
}

const wrongNumbers = [
  -1,
  0.5,
  256,
  2 ** 31,
  2 ** 32 + 1,
  2 ** 53,
  2 ** 64,
  1e300,
  Number.NaN,
  Number.POSITIVE_INFINITY,
];
const noNumbers = ['4', null, undefined, {}, [], 4n, Symbol.iterator, () => 4];
const noViews = [
  7,
  'bytes',
  null,
  undefined,
  {},
  [1, 2],
  new Uint16Array(8),
  new DataView(new ArrayBuffer(8)),
  new ArrayBuffer(8),
];

/** Enormous, inconsistent and senseless arguments. */
function wrong(addon: NativeAddon, call: Call): void {
  const { random } = call;
  const [k, m, length] = [1 + random.below(6), 1 + random.below(4), 1 + random.below(100)];
  const extents = call.extents(k + m, length);
  const areas = [...call.extents(1, k * length), ...call.extents(1, m * length)];
  call.fill();
  const views = call.native(extents);
  const [data, parity] = [views.slice(0, k), views.slice(k)];
  const [dataArea, parityArea] = call.native(areas);
  const coder = new addon.Gf256Coder(k, m);
  const number = random.pick(wrongNumbers);
  const noNumber = random.pick(noNumbers) as number;
  const noView = random.pick(noViews) as Uint8Array;
  const noList = (Array.isArray(noView) ? 'no list' : noView) as unknown as Uint8Array[];
  const withOne = (list: Uint8Array[], entry: Uint8Array) => list.with(random.below(list.length), entry);
  const short = withOne(data, data[0]!.subarray(1));
  const none = Uint8Array.of();
  const cases: [string, typeof TypeError | typeof RangeError, () => unknown][] = [
    ['a geometry', RangeError, () => new addon.Gf256Coder(number, m)],
    ['a geometry', RangeError, () => new addon.Gf256Coder(k, number)],
    ['a geometry', RangeError, () => new addon.Gf256Coder(200, 56 + random.below(200))],
    ['a geometry', TypeError, () => new addon.Gf256Coder(noNumber, m)],
    ['no new', TypeError, () => (addon.Gf256Coder as unknown as (k: number, m: number) => void)(k, m)],
    ['this', TypeError, () => coder.encode.call(noView as never, data, parity)],
    ['a shard', TypeError, () => coder.encode(withOne(data, noView), parity)],
    ['a shard', TypeError, () => coder.encode(data, withOne(parity, noView))],
    ['a list', TypeError, () => coder.encode(noList, parity)],
    ['a list', TypeError, () => coder.encode(data, noList)],
    ['a count', RangeError, () => coder.encode(data.slice(1), parity)],
    ['a count', RangeError, () => coder.encode(data, [...parity, ...data])],
    ['a count', RangeError, () => coder.encode(new Array(2 ** 32 - 1), parity)],
    ['lengths', RangeError, () => k > 1 && coder.encode(short, parity)],
    ['lengths', RangeError, () => coder.encode(data, withOne(parity, none))],
    ['a length', RangeError, () => coder.encodeArea(dataArea!, parityArea!, number)],
    ['a length', TypeError, () => coder.encodeArea(dataArea!, parityArea!, noNumber)],
    ['an area', TypeError, () => coder.encodeArea(noView, parityArea!, length)],
    ['an area', RangeError, () => coder.encodeArea(dataArea!, parityArea!.subarray(1), length)],
    ['an area', RangeError, () => coder.encodeArea(dataArea!, dataArea!.subarray(0, m * length), length)],
    [
      'too few',
      RangeError,
      () =>
        coder.decode(
          views.map((v, i) => (i <= m ? undefined : v)),
          none,
          [],
        ),
    ],
    ['present', RangeError, () => coder.decode(views, Uint8Array.of(0), [parityArea!.subarray(0, length)])],
    [
      'an index',
      RangeError,
      () => coder.decode(views, Uint8Array.of(k + m), [parityArea!.subarray(0, length)]),
    ],
    ['a count', RangeError, () => coder.decode(views.with(0, undefined as never), Uint8Array.of(0), [])],
    ['indices', TypeError, () => coder.decode(views, noView, [])],
    ['a matrix', RangeError, () => addon.gf256Combine(none, m, k, data, parity)],
    ['a matrix', TypeError, () => addon.gf256Combine(noView, m, k, data, parity)],
    ['rows', RangeError, () => addon.gf256Combine(dataArea!, number, k, data, parity)],
    ['columns', TypeError, () => addon.gf256Combine(dataArea!, m, noNumber, data, parity)],
    ['no rows', RangeError, () => addon.gf256Combine(none, 0, k, data, [])],
  ];
  const [what, error, work] = random.pick(cases);
  if (what === 'lengths' && k === 1) return;
  mustRefuse(`${what} of ${k}+${m}, ${length} bytes, ${String(number)}, ${String(noNumber)}`, error, work);
  call.compare(`refused ${what}`);
}

const kinds = [encodeLists, encodeAreas, decode, decode, combineAny, overlapping, wrong];

/** Runs calls at all levels in turn. @throws with the seed and the number of the call that failed */
export function randomGf256(calls: number, seed: number): void {
  const { addon, reason } = native();
  if (!addon) throw new Error(`no addon: ${reason}`);
  const before = addon.level();
  const levels = addon.levels();
  const arenas = [new Uint8Array(ARENA_BYTES), new Uint8Array(new SharedArrayBuffer(ARENA_BYTES))].map(
    (bytes) => ({
      bytes,
      twin: new Uint8Array(ARENA_BYTES),
    }),
  );
  const random = new Random(seed);
  try {
    for (let n = 0; n < calls; n++) {
      const level = levels[Math.floor(n / CALLS_PER_LEVEL) % levels.length]!;
      if (n % CALLS_PER_LEVEL === 0) addon.selectLevel(level);
      const kind = random.pick(kinds);
      try {
        kind(addon, new Call(random, random.pick(arenas)));
      } catch (error) {
        throw new Error(`seed ${seed}, call ${n} (${kind.name}) at level ${level}: ${error}`, {
          cause: error,
        });
      }
    }
  } finally {
    addon.selectLevel(before);
  }
}
