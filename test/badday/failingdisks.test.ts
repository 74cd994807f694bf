/**
 * Disks that end earlier than they said, so that writes past the page cache fail in the middle. Nodes on them go offline and say why, the
 * others go on as far as they suffice, and what was acknowledged is there: at once, and after a start, when the disks are whole again.
 */
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { MIB } from '../../src/base/units.ts';
import { MountedDisk, whyNoDisks } from '../harness/disks.ts';
import { TestS3 } from '../harness/s3.ts';
import { type RunningServer, startServer, temporaryDirectory } from '../harness/server.ts';
import { body, removeData, statusOf } from './support.ts';

const OBJECT_BYTES = 9 * MIB + 77;
const OBJECTS = 14;
const NODES = 6;
const DATA_FRAGMENTS = 4;
const clearRefusals = [
  { status: 507, code: 'InsufficientStorage' },
  { status: 503, code: 'ServiceUnavailable' },
];

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function thinDisk(): MountedDisk {
  const disk = new MountedDisk(128 * MIB);
  cleanups.push(() => disk.remove());
  disk.endAt(28 * MIB);
  return disk;
}

/** The first nodes on thin disks of their own, the others on one that is sound. */
function foldersOf(thin: readonly MountedDisk[]): string[] {
  const sound = temporaryDirectory();
  cleanups.push(() => removeData(join(sound, 'data')));
  return Array.from({ length: NODES }, (_, i) => join(thin[i]?.path ?? sound, `node-${i + 1}`));
}

async function start(folders: readonly string[], data?: string): Promise<RunningServer> {
  const flags = [...folders.flatMap((folder) => ['--folder', folder]), '--log-level', 'warn'];
  const server = await startServer({ flags, ...(data === undefined ? {} : { data }) });
  cleanups.push(() => server.stop('SIGKILL'));
  if (data === undefined) cleanups.push(() => removeData(server.data));
  return server;
}

/** Puts all objects, two at a time; which were acknowledged, and what was said of the others. */
async function putAll(s3: TestS3) {
  const taken: number[] = [];
  const refusals: { status: number; code: string }[] = [];
  await s3.ok('PUT', '/thin');
  for (let i = 0; i < OBJECTS; i += 2) {
    const pair = [i, i + 1];
    const put = (one: number) => s3.send('PUT', `/thin/${one}`, { body: body(OBJECT_BYTES, one) });
    const replies = await Promise.all(pair.map(put));
    for (const [j, { status, body: text }] of replies.entries()) {
      if (status === 200) taken.push(pair[j]!);
      else refusals.push({ status, code: /<Code>(\w+)</.exec(text.toString())?.[1] ?? '' });
    }
  }
  return { taken, refusals };
}

async function expectAll(s3: TestS3, taken: readonly number[]): Promise<void> {
  for (const i of taken) {
    const reply = await s3.ok('GET', `/thin/${i}`);
    expect(reply.body.equals(body(OBJECT_BYTES, i)), `object ${i}`).toBe(true);
  }
}

const skipped = whyNoDisks();

describe.skipIf(skipped !== '')(`disks that end too early${skipped}`, () => {
  test.each([1, 2, NODES])('%i of 6: nothing acknowledged is lost', async (count) => {
    const thin = Array.from({ length: count }, thinDisk);
    const folders = foldersOf(thin);
    const server = await start(folders);
    const s3 = new TestS3(server);
    const { taken, refusals } = await putAll(s3);
    if (count <= NODES - DATA_FRAGMENTS) expect(refusals).toEqual([]);
    expect(taken.length).toBeGreaterThan(1);
    expect(taken.length + refusals.length).toBe(OBJECTS);
    for (const refusal of refusals) expect(clearRefusals).toContainEqual(refusal);
    const { nodes } = await statusOf(server);
    const ended = nodes.filter(({ state }) => state !== 'online').map(({ id }) => id);
    expect(ended.every((id) => id <= count)).toBe(true);
    expect(ended.length).toBeGreaterThanOrEqual(Math.min(count, NODES - DATA_FRAGMENTS + 1));
    for (const { id, state, problem } of nodes) {
      const why = ended.includes(id) ? /ended after a disk failure \(.*(EIO|EROFS)/ : /^$/;
      expect(problem, `node ${id}, ${state}`).toMatch(why);
    }
    // A node that has ended answers no reads either, since nobody knows what its disk still holds.
    if (NODES - ended.length >= DATA_FRAGMENTS) await expectAll(s3, taken);
    expect(await server.stop()).toBe(0);

    for (const disk of thin) disk.restore();
    const again = await start(folders, server.data);
    const { nodes: after } = await statusOf(again);
    expect(after.map(({ state, problem }) => [state, problem])).toEqual(Array(NODES).fill(['online', '']));
    await expectAll(new TestS3(again), taken);
    await new TestS3(again).ok('PUT', '/thin/again', { body: body(OBJECT_BYTES, 99) });
    expect((await statusOf(again)).stripes.unreadable).toBe(0);
  });
});
