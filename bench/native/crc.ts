/** The CRCs at every level, beside zlib's CRC-32, WebAssembly and the table; one thread. Run by itself or from bench/native.ts. */
import { randomFillSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { type NativeAddon, native } from '../../src/base/native.ts';
import { createPortableCrc } from '../../src/coding/crc.ts';
import { crc32cByTable } from '../../src/node/crc32c.ts';
import { printRates, type Rate } from './rates.ts';

const KIB = 1024;

function portable(bytes: Uint8Array): Rate[] {
  const [castagnoli, nvme] = [createPortableCrc('crc32c'), createPortableCrc('crc64nvme')];
  return [
    { name: "CRC-32, node's zlib", bytes: bytes.length, work: () => crc32(bytes) },
    { name: 'CRC-32C, table in JavaScript', bytes: bytes.length, work: () => crc32cByTable(bytes) },
    { name: 'CRC-32C, WebAssembly', bytes: bytes.length, work: () => castagnoli.update(bytes) },
    { name: 'CRC-64/NVME, WebAssembly', bytes: bytes.length, work: () => nvme.update(bytes) },
  ];
}

function atThisLevel(addon: NativeAddon, bytes: Uint8Array): Rate[] {
  return [
    { name: 'CRC-32', bytes: bytes.length, work: () => addon.crc32(bytes) },
    { name: 'CRC-32C', bytes: bytes.length, work: () => addon.crc32c(bytes) },
    { name: 'CRC-64/NVME', bytes: bytes.length, work: () => addon.crc64nvme(bytes) },
  ];
}

export async function benchCrc(): Promise<void> {
  const { addon, reason } = native();
  for (const sizeBytes of [4 * KIB, 64 * KIB, KIB * KIB]) {
    const bytes = randomFillSync(new Uint8Array(sizeBytes));
    await printRates(`${sizeBytes / KIB} KiB, portable${addon ? '' : ` (${reason})`}`, portable(bytes));
    if (!addon) continue;
    const before = addon.level();
    for (const level of addon.levels()) {
      addon.selectLevel(level);
      await printRates(`${sizeBytes / KIB} KiB, ${level}`, atThisLevel(addon, bytes));
    }
    addon.selectLevel(before);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await benchCrc();
