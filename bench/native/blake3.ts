/**
 * BLAKE3 at every level of the addon, beside @noble/hashes and the WebAssembly module in the same run; one thread.
 *
 *   node bench/native/blake3.ts
 */
import { randomFillSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { blake3 as noble } from '@noble/hashes/blake3.js';
import { type NativeAddon, native } from '../../src/base/native.ts';
import { createPortableBlake3, type KeyedHash } from '../../src/coding/blake3.ts';
import { createNativeBlake3 } from '../../src/coding/blake3native.ts';
import { printRates, type Rate } from './rates.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GROUP_BYTES = 16 * KIB;
const BATCH = 16;
/** Short calls are repeated, so that reading the clock does not count. */
const MEASURED_BYTES_MIN = 64 * KIB;

interface Contender {
  readonly name: string;
  readonly hash: KeyedHash;
  readonly keyed?: KeyedHash;
  readonly addon?: NativeAddon;
  readonly level?: ReturnType<NativeAddon['level']>;
}

function contenders(portable: KeyedHash, key: Uint8Array): Contender[] {
  const { addon } = native();
  return [
    {
      name: '@noble/hashes',
      hash: (view) => Buffer.from(noble(view!)),
      keyed: (view) => Buffer.from(noble(view!, { key })),
    },
    { name: 'WebAssembly', hash: portable },
    ...(addon?.levels() ?? []).map((level) => ({
      name: level,
      hash: createNativeBlake3(addon!),
      keyed: createNativeBlake3(addon!, key),
      addon: addon!,
      level,
    })),
  ];
}

function rate({ name, addon, level }: Contender, bytes: number, work: () => unknown): Rate {
  const repeats = Math.ceil(MEASURED_BYTES_MIN / bytes);
  return {
    name,
    bytes: bytes * repeats,
    work: () => {
      if (level && addon?.level() !== level) addon?.selectLevel(level);
      for (let i = 0; i < repeats; i++) work();
    },
  };
}

export async function benchBlake3(): Promise<void> {
  const [key, all] = [randomFillSync(new Uint8Array(32)), randomFillSync(new Uint8Array(MIB))];
  const list = contenders(await createPortableBlake3(), key);
  const { addon } = native();
  const before = addon?.level();
  for (const bytes of [64, KIB, 16 * KIB, 64 * KIB, MIB]) {
    const view = all.subarray(0, bytes);
    await printRates(
      bytes < KIB ? `${bytes} B` : `${bytes / KIB} KiB`,
      list.map((contender) => rate(contender, bytes, () => contender.hash(view))),
    );
  }
  await printRates(
    'keyed, 64 KiB',
    list.flatMap((contender) => {
      const { keyed } = contender;
      const view = all.subarray(0, 64 * KIB);
      return keyed ? [rate(contender, view.length, () => keyed(view))] : [];
    }),
  );
  const messages = Array.from({ length: BATCH }, (_, i) => all.subarray(i * KIB, (i + 1) * KIB));
  const outputs = Buffer.alloc(32 * BATCH);
  await printRates(
    `${BATCH} messages of 1 KiB`,
    list.map((contender) =>
      rate(contender, BATCH * KIB, () => {
        if (contender.addon) contender.addon.blake3Many(messages, outputs);
        else for (const message of messages) contender.hash(message);
      }),
    ),
  );
  const cv = Buffer.alloc(32 * 8);
  for (const groups of [1, 8]) {
    const view = all.subarray(0, groups * GROUP_BYTES);
    const output = cv.subarray(0, 32 * groups);
    await printRates(
      `${groups} groups of 16 KiB in a call`,
      list.flatMap((contender) =>
        contender.addon
          ? [rate(contender, view.length, () => contender.addon?.blake3Groups(view, 0, output))]
          : [],
      ),
    );
  }
  await printRates(
    'outboard of 1 MiB over groups of 16 KiB (the others: hash)',
    list.map((contender) =>
      rate(contender, MIB, () =>
        contender.addon ? contender.addon.blake3Outboard(all, GROUP_BYTES) : contender.hash(all),
      ),
    ),
  );
  if (before) addon?.selectLevel(before);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await benchBlake3();
