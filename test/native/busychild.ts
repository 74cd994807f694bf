/**
 * A process, or a worker thread, that fills all native threads and then leaves in the way it is told: `exit`, `throw`, `wait` (to be
 * terminated, or to end by itself when everything is done).
 */
import { parentPort, workerData } from 'node:worker_threads';
import { appendKind, jobKinds, requireJobs, silentSocket } from './somejobs.ts';

const EXIT_CODE = 7;
const ROUNDS = 12;

const [way, delayText = '0'] = (workerData as string[] | null) ?? process.argv.slice(2);
const jobs = requireJobs();
const append = appendKind();
const socket = await silentSocket();
const inlet = jobs.addon.inletOpen(socket.descriptor);
const target = new Uint8Array(1000);
const ended: Promise<unknown>[] = [];
for (let round = 0; round < ROUNDS; round++) {
  for (const submit of [...Object.values(jobKinds), append.submit]) ended.push(submit(jobs));
}
const receiving =
  inlet && jobs.run((id) => jobs.addon.inletReceive(id, inlet, target, 60_000), inlet, target);
receiving?.catch(() => undefined);
parentPort?.postMessage('busy');

process.on('exit', append.close);
if (way === 'wait') {
  await Promise.all(ended);
  if (inlet) jobs.addon.inletClose(inlet);
  socket.close();
} else {
  setTimeout(() => {
    if (way === 'throw') throw new Error('on purpose');
    process.exit(EXIT_CODE);
  }, Number(delayText));
}
