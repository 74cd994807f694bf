/**
 * MD5 of one stream beside node's and of several at once, as planned at every level and with every kernel by itself; one thread. Run by
 * itself or from bench/native.ts.
 */
import { createHash, randomFillSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type NativeAddon, native } from '../../src/base/native.ts';
import { printRates, type Rate } from './rates.ts';

const STREAM_BYTES = 256 * 1024;
const MIB = 1024 * 1024;
const streams = Array.from({ length: 16 }, () => randomFillSync(new Uint8Array(STREAM_BYTES)));
const megabyte = randomFillSync(new Uint8Array(MIB));

function many(addon: NativeAddon, count: number, name = `${count} streams`): Rate {
  const states = Array.from({ length: count }, () => addon.md5Create());
  const views = streams.slice(0, count);
  return { name, bytes: count * STREAM_BYTES, work: () => addon.md5UpdateMany(states, views) };
}

const viaNode: Rate = {
  name: "one stream of 1 MiB, node's",
  bytes: MIB,
  work: () => createHash('md5').update(megabyte).digest(),
};

function planned(addon: NativeAddon): Rate[] {
  return [
    viaNode,
    { name: 'one stream of 1 MiB', bytes: MIB, work: () => addon.md5(megabyte) },
    ...[2, 3, 4, 5, 6, 8, 12, 16].map((count) => many(addon, count)),
  ];
}

/** A kernel that takes n streams, and its name says so at the end, with n of them. */
async function eachKernel(addon: NativeAddon): Promise<void> {
  for (const kernel of addon.md5Kernels()) {
    const width = Number(/\d+$/.exec(kernel)?.[0]);
    addon.md5SelectKernel(kernel);
    await printRates(kernel, [many(addon, width)]);
  }
  addon.md5SelectKernel();
}

export async function benchMd5(): Promise<void> {
  const { addon, reason } = native();
  if (!addon) return printRates(`portable (${reason})`, [viaNode]);
  const before = addon.level();
  for (const level of addon.levels()) {
    addon.selectLevel(level);
    await printRates(level, planned(addon));
  }
  addon.selectLevel(before);
  await eachKernel(addon);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await benchMd5();
