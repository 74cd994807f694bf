/** AES-256-GCM over 16-KiB chunks: node:crypto, the process's OpenSSL called natively, and what keeping a context gains. */
import { randomFillSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { native } from '../../src/base/native.ts';
import { openRun, sealedRunLength, sealRun } from '../../src/crypto/chunked.ts';
import { printRates, type Rate } from './rates.ts';

const BYTES = 256 * 1024;
const keys = randomFillSync(new Uint8Array(44));
const chunkKeys = { aeadKey: keys.subarray(0, 32), baseNonce: keys.subarray(32) };
const plaintext = randomFillSync(new Uint8Array(BYTES));
const sealed = new Uint8Array(sealedRunLength(BYTES, false));
const opened = new Uint8Array(BYTES);

export async function benchGcm(): Promise<void> {
  const { addon, reason } = native();
  const sealing: Rate[] = [
    { name: 'seal, node:crypto', bytes: BYTES, work: () => sealRun(chunkKeys, 0, plaintext, false, sealed) },
  ];
  const opening: Rate[] = [
    { name: 'open, node:crypto', bytes: BYTES, work: () => openRun(chunkKeys, 0, sealed, false, opened) },
  ];
  if (addon?.canSeal()) {
    const seal = (reuse: boolean) => () => addon.sealWholeChunksNow(keys, plaintext, sealed, 0, reuse);
    sealing.push(
      { name: 'seal, native, a context for each chunk', bytes: BYTES, work: seal(false) },
      { name: 'seal, native, one context', bytes: BYTES, work: seal(true) },
    );
    const open = () => addon.openChunksNow(keys, sealed, opened, 0, false);
    opening.push({ name: 'open, native, one context', bytes: BYTES, work: open });
  }
  await printRates(`AES-256-GCM, 16-KiB chunks${addon ? '' : ` (no addon: ${reason})`}`, sealing);
  sealRun(chunkKeys, 0, plaintext, false, sealed);
  await printRates('AES-256-GCM, opening', opening);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await benchGcm();
