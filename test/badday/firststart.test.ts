/**
 * The very first start, cut off after any of its steps: the next one goes on from there, with the keys that are there already.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { systemRandom } from '../../src/base/random.ts';
import { createBundle } from '../../src/crypto/bundle.ts';
import { keys } from '../../src/metadata/keys.ts';
import { openLevel } from '../../src/metadata/level.ts';
import { initialiseIdentity } from '../../src/node/identity.ts';
import { realDisk } from '../../src/node/realdisk.ts';
import { TestS3 } from '../harness/s3.ts';
import { Original } from './original.ts';
import { statusOf } from './support.ts';

const original = new Original();
const { root } = original;
afterAll(() => original.end());

/** The steps of the first start in their order (src/gateway/gateway.ts), each done to `data` as a crash right after it leaves it. */
const steps: readonly (readonly [string, (data: string) => Promise<void>])[] = [
  ['the directory', async (data) => void mkdirSync(data, { recursive: true, mode: 0o700 })],
  [
    'a format file that never got its name',
    async (data) => writeFileSync(join(data, 'format.json.1.0.tmp'), '{"pro'),
  ],
  [
    'the format',
    async (data) => writeFileSync(join(data, 'format.json'), '{"product":"holdfast","format":1}\n'),
  ],
  ['an empty metadata directory', async (data) => void mkdirSync(join(data, 'metadata'))],
  ['empty metadata', async (data) => changeMetadata(data, async () => undefined)],
  [
    'keys that never got their name',
    async (data) => writeFileSync(join(data, 'bundle.json.1.1.tmp'), '{', { mode: 0o600 }),
  ],
  ['the keys', async (data) => void (await createBundle(join(data, 'bundle.json'), systemRandom))],
  ['the grid in the metadata', writeGrid],
  [
    'credentials that never got their name',
    async (data) => writeFileSync(join(data, 'credentials.json.1.2.tmp'), ''),
  ],
  [
    'an empty node folder',
    async (data) => void mkdirSync(join(data, 'nodes', 'node-1'), { recursive: true }),
  ],
  [
    'half an identity',
    async (data) => writeFileSync(join(data, 'nodes', 'node-1', 'node.json.new'), '{"kind"'),
  ],
  ['one node', (data) => makeNode(data, 1)],
  [
    'all nodes, none of them recorded',
    async (data) => {
      for (const id of [2, 3, 4, 5, 6]) await makeNode(data, id);
    },
  ],
];

async function changeMetadata(
  data: string,
  change: (engine: Awaited<ReturnType<typeof openLevel>>) => Promise<void>,
): Promise<void> {
  const engine = await openLevel(join(data, 'metadata'));
  await change(engine);
  await engine.close();
}

async function writeGrid(data: string): Promise<void> {
  const { gridId } = JSON.parse(readFileSync(join(data, 'bundle.json'), 'utf8')) as { gridId: string };
  const value = Buffer.from(gridId, 'hex');
  await changeMetadata(data, (engine) =>
    engine.batch([{ type: 'put', key: keys.singleton('grid'), value }], { sync: true }),
  );
}

async function makeNode(data: string, id: number): Promise<void> {
  await initialiseIdentity(realDisk, join(data, 'nodes', `node-${id}`), systemRandom);
}

async function expectFirstStart(data: string): Promise<void> {
  const before = existsSync(join(data, 'bundle.json'))
    ? readFileSync(join(data, 'bundle.json'), 'utf8')
    : undefined;
  const server = await original.start({ data });
  const s3 = new TestS3(server);
  await s3.ok('PUT', '/first');
  await s3.ok('PUT', '/first/object', { body: 'written' });
  const { health, nodes } = await statusOf(server);
  expect([health, nodes.length]).toEqual(['ok', 6]);
  expect((await s3.ok('GET', '/first/object')).body.toString()).toBe('written');
  await server.stop();
  if (before !== undefined) expect(readFileSync(join(data, 'bundle.json'), 'utf8')).toBe(before);
  expect(readdirSync(join(data, 'nodes')).sort()).toEqual([1, 2, 3, 4, 5, 6].map((id) => `node-${id}`));
}

const prefix = join(root, 'prefix');
for (const [index, [name, step]] of steps.entries()) {
  test(`a first start that was cut off after ${name} goes on`, async () => {
    await step(prefix);
    const data = join(root, `first-${index}`);
    cpSync(prefix, data, { recursive: true });
    await expectFirstStart(data);
  });
}

test('a first start that was cut off after some nodes were recorded goes on', async () => {
  const data = join(root, 'recorded');
  await (await original.start({ data })).stop('SIGKILL');
  await changeMetadata(data, (engine) =>
    engine.batch(
      [4, 5, 6].map((id) => ({ type: 'del' as const, key: keys.node(id) })),
      { sync: true },
    ),
  );
  await expectFirstStart(data);
});
