/**
 * Every kernel on one thread, with tinybench, beside the rival it must beat and the portable twin; GB/s of the bytes that go in. Each
 * part runs alone too: `node bench/native/gf256.ts`.
 */
import { native } from '../src/base/native.ts';
import { benchBlake3 } from './native/blake3.ts';
import { benchCrc } from './native/crc.ts';
import { benchGcm } from './native/gcm.ts';
import { benchGf256 } from './native/gf256.ts';
import { benchIsal } from './native/isal.ts';
import { benchMd5 } from './native/md5.ts';
import { benchStripe } from './native/stripe.ts';

// One thread for @ronomon/reed-solomon as well, which computes on libuv's.
process.env['UV_THREADPOOL_SIZE'] = '1';
const { addon, reason } = native();
process.stdout.write(`native kernels: ${addon ? addon.level() : `none (${reason})`}\n\n`);
for (const part of [benchGf256, benchIsal, benchBlake3, benchGcm, benchCrc, benchMd5, benchStripe]) {
  await part();
  process.stdout.write('\n');
}
