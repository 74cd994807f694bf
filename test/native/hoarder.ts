/**
 * Run with --expose-gc. `gc`: collects all the time while jobs run of which nobody else holds anything, and compares hashes. `flat`:
 * runs many jobs and prints by how many bytes the process has grown since it was warm.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { blake3 } from '../../src/coding/blake3.ts';
import { appendKind, jobKinds, requireJobs } from './somejobs.ts';

const collect = (globalThis as unknown as { gc: () => void }).gc;
const jobs = requireJobs();

function hashHeldByTheJob(fill: number, roots: Uint8Array): Promise<number> {
  const view = new Uint8Array(300_000).fill(fill);
  return jobs.run((id) => jobs.addon.hashAll(id, [view], roots), view, roots);
}

async function collecting(rounds: number): Promise<number> {
  let agree = 0;
  for (let round = 0; round < rounds; round++) {
    const fill = round % 251;
    const expected = blake3(new Uint8Array(300_000).fill(fill));
    const roots = new Uint8Array(32);
    const under = [hashHeldByTheJob(fill, roots), ...Object.values(jobKinds).map((submit) => submit(jobs))];
    for (let i = 0; i < 4; i++) {
      collect();
      await turn();
    }
    await Promise.all(under);
    if (Buffer.from(roots).equals(expected)) agree += 1;
  }
  return agree;
}

async function growth(rounds: number): Promise<number> {
  const append = appendKind();
  const submits = [...Object.values(jobKinds), append.submit];
  const work = async (count: number) => {
    for (let i = 0; i < count; i++) await Promise.all(submits.map((submit) => submit(jobs)));
    collect();
    await turn();
    collect();
    return process.memoryUsage().rss;
  };
  const warm = await work(rounds / 2);
  const after = await work(rounds);
  append.close();
  return after - warm;
}

const [what, roundsText = '10'] = process.argv.slice(2);
const rounds = Number(roundsText);
process.stdout.write(String(what === 'gc' ? await collecting(rounds) : await growth(rounds)));
