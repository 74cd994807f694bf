/** A full stripe, 4 + 2, sealed in one call and opened in windows: what the engine does on one thread, beside the portable kernels. */
import { randomFillSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { nativeJobs } from '../../src/base/nativejobs.ts';
import { InlineEngine } from '../../src/stripes/engine/inline.ts';
import { NativeEngine } from '../../src/stripes/engine/native.ts';
import type { StripeEngine } from '../../src/stripes/engine/types.ts';
import { printRates } from './rates.ts';

const profile = { k: 4, m: 2, codecId: 1 };
const STRIPE_BYTES = 4 * 1024 * 1024;

async function sealing(name: string, engine: StripeEngine) {
  const buffer = await engine.acquireWrite();
  randomFillSync(buffer.plaintext);
  const run = {
    plaintextOffsetBytes: 0,
    plaintextLengthBytes: STRIPE_BYTES,
    aeadKey: randomFillSync(new Uint8Array(32)),
    baseNonce: randomFillSync(new Uint8Array(12)),
    firstChunkIndex: 0,
    final: false,
  };
  return { name, bytes: STRIPE_BYTES, work: () => engine.seal(buffer, [run], profile) };
}

export async function benchStripe(): Promise<void> {
  const jobs = nativeJobs();
  const engines: [string, StripeEngine][] = [
    ['kernels of this process on the calling thread', new InlineEngine({ profile })],
    ...(jobs ? [['one native call', new NativeEngine(jobs, { profile })] as [string, StripeEngine]] : []),
  ];
  const rates = await Promise.all(engines.map(([name, engine]) => sealing(name, engine)));
  await printRates('seal, code and hash a stripe of 4 MiB, 4 + 2', rates);
  for (const [, engine] of engines) await engine.close();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await benchStripe();
