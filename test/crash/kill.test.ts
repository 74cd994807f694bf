/**
 * Kills the server with SIGKILL at random instants under load and checks every acknowledged object byte for byte afterwards. In the end a
 * scrub must find nothing missing, nothing corrupt and no orphan. Five rounds by default; HOLDFAST_TEST_CRASHES=50 for
 * the full run, HOLDFAST_TEST_SEED to repeat one.
 */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { ScrubResult, StatusReport } from '../../src/admin/report.ts';
import { TestS3 } from '../harness/s3.ts';
import {
  holdfast,
  type RunningServer,
  startServer,
  temporaryDirectory,
  waitUntil,
} from '../harness/server.ts';
import { Prng } from '../simulation/prng.ts';

const rounds = Number(process.env['HOLDFAST_TEST_CRASHES'] ?? 5);
const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? randomInt(2 ** 31));
const WRITERS = 8;
const KEYS_PER_WRITER = 6;
const ROUND_MS_MAX = 1500;
const SIZES = [0, 1, 700, 4096, 32_768, 32_769, 200_000, 1_500_000, 6_000_000];

/** SHA-256 of what a key may hold: one value when the last request was answered, two while it was not. */
type Expected = Map<string, Set<string>>;
const ABSENT = 'absent';
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

const data = join(temporaryDirectory(), 'data');
let server: RunningServer | undefined;
afterAll(async () => {
  await server?.stop('SIGKILL');
  rmSync(dirname(data), { recursive: true, force: true });
});

async function change(s3: TestS3, path: string, random: () => number, expected: Expected): Promise<void> {
  const before = expected.get(path) ?? new Set([ABSENT]);
  const kind = random();
  if (kind < 0.2) {
    expected.set(path, new Set([...before, ABSENT]));
    await s3.ok('DELETE', path);
    expected.set(path, new Set([ABSENT]));
    return;
  }
  const multipart = kind < 0.3;
  const size = SIZES[Math.floor(random() * SIZES.length)] ?? 0;
  const parts = multipart ? [randomBytes(5 * 1024 * 1024), randomBytes(size)] : [randomBytes(size)];
  const hash = digest(Buffer.concat(parts));
  expected.set(path, new Set([...before, hash]));
  if (multipart) await s3.putMultipart(path, parts);
  else await s3.ok('PUT', path, { body: parts[0] as Uint8Array });
  expected.set(path, new Set([hash]));
}

/** Runs writers until the server is killed. */
async function loadUntilKilled(
  running: RunningServer,
  random: () => number,
  expected: Expected,
): Promise<void> {
  const s3 = new TestS3(running);
  let killed = false;
  const writer = async (name: number) => {
    while (!killed) {
      const path = `/crash/${name}/${Math.floor(random() * KEYS_PER_WRITER)}`;
      try {
        await change(s3, path, random, expected);
      } catch (error) {
        if (!killed) throw error;
      }
    }
  };
  const writers = Promise.all(Array.from({ length: WRITERS }, (_, name) => writer(name)));
  await new Promise((resolve) => setTimeout(resolve, 50 + random() * ROUND_MS_MAX));
  killed = true;
  await running.stop('SIGKILL');
  await writers;
}

async function checkEverything(running: RunningServer, expected: Expected): Promise<void> {
  const s3 = new TestS3(running);
  for (const [path, allowed] of expected) {
    const reply = await s3.send('GET', path);
    const found = reply.status === 404 ? ABSENT : digest(reply.body);
    expect([200, 404], `${path}: ${reply.body.subarray(0, 300)}`).toContain(reply.status);
    expect(allowed.has(found), `${path} (seed ${seed}): ${reply.status}, ${reply.body.length} bytes`).toBe(
      true,
    );
    expected.set(path, new Set([found]));
  }
}

test(`nothing acknowledged is lost by ${rounds} kills (seed ${seed})`, {
  timeout: rounds * 30_000 + 120_000,
}, async () => {
  const generator = new Prng(seed);
  const random = () => generator.u32() / 2 ** 32;
  const expected: Expected = new Map();
  server = await startServer({ data, flags: ['--log-level', 'warn'] });
  await new TestS3(server).ok('PUT', '/crash');
  for (let round = 0; round < rounds; round++) {
    await loadUntilKilled(server, random, expected);
    server = await startServer({ data, flags: ['--log-level', 'warn'] });
    await checkEverything(server, expected);
  }
  const scrub = await holdfast(['scrub', '--data', data, '--json']);
  const result = JSON.parse(scrub.stdout) as ScrubResult;
  expect(result).toMatchObject({ corrupt: 0, missing: 0, unreachable: 0, unrepairable: 0 });
  const again = JSON.parse((await holdfast(['scrub', '--data', data, '--json'])).stdout) as ScrubResult;
  expect(again).toMatchObject({ corrupt: 0, missing: 0, orphans: 0 });
  let last = '';
  await waitUntil(
    async () => {
      last = (await holdfast(['status', '--data', data, '--json'])).stdout;
      const status = JSON.parse(last) as StatusReport;
      return status.health === 'ok' && status.healing.queuedStripes === 0;
    },
    60_000,
    () => last,
  );
});
