/**
 * A process that can start no thread any more, because its user has as many as it may. Prints what comes of native jobs then, as JSON:
 * what a send says, how many descriptors it leaves open, and what becomes of an append to a file in the given directory.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { appendDurably } from '../../src/node/append.ts';
import { realDisk } from '../../src/node/realdisk.ts';
import { requireJobs, silentSocket } from './somejobs.ts';

const NOBODY = 65_534;
const jobs = requireJobs();
const directory = process.argv[2]!;
chmodSync(directory, 0o755);
const witness = join(directory, 'witness');
writeFileSync(witness, '');
const file = await realDisk.open(join(directory, 'file'), 'create');
const socket = await silentSocket();
await Promise.all([1, 2, 3, 4].map(() => stat(directory))); // libuv has its threads now
execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=1:1']);
if (process.getuid?.() === 0) process.setuid?.(NOBODY); // root may have as many as it likes

const openDescriptors = () => readdirSync('/proc/self/fd').length;
function trySend(): string {
  try {
    jobs.addon.sendBytes(1, socket.descriptor, new Uint8Array(8), 1);
    return 'taken';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

const before = openDescriptors();
const send = trySend();
const left = openDescriptors() - before;
const there = await file.append?.([Buffer.from('lost?')], 0, witness, false);
const durable = await appendDurably(realDisk, file, [Buffer.from('kept')], 0, witness, false);
const content = Buffer.alloc(16);
const length = await file.read(content, 0);
socket.close();
console.log(
  JSON.stringify({
    send,
    left,
    there: there ?? 'not begun',
    durable,
    content: content.toString('latin1', 0, length),
  }),
);
process.exit();
