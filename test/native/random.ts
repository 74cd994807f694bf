/**
 * Random calls of a native kernel against its portable twin, as many as one likes:
 *
 *   node test/native/random.ts gf256 1000000 [seed]
 *
 * A failure names the seed.
 */
import { randomBlake3 } from './random-blake3.ts';
import { randomCrc } from './random-crc.ts';
import { randomGcm } from './random-gcm.ts';
import { randomGf256 } from './random-gf256.ts';
import { randomMd5 } from './random-md5.ts';

const kernels: Readonly<Record<string, (calls: number, seed: number) => void>> = {
  blake3: randomBlake3,
  crc: randomCrc,
  gcm: randomGcm,
  gf256: randomGf256,
  md5: randomMd5,
};

const [name = '', callsText = '100000', seedText = String(Date.now() % 2 ** 31)] = process.argv.slice(2);
const run = kernels[name];
const [calls, seed] = [Number(callsText), Number(seedText)];
if (!run || !Number.isSafeInteger(calls) || !Number.isSafeInteger(seed)) {
  process.stderr.write(`usage: node test/native/random.ts ${Object.keys(kernels).join('|')} CALLS [SEED]\n`);
  process.exitCode = 2;
} else {
  const startedMs = performance.now();
  run(calls, seed);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(`${name}: ${calls} calls agree (seed ${seed}, ${seconds} s)\n`);
}
