/** Nodes that are lost, damaged, swapped and stopped under the running server: nothing is lost, and it heals by itself. */
import { cp, rename, rm } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { loseNodes } from '../harness/server.ts';
import { flipBits, isHealed, Scenario, segmentsOf } from './world.ts';

let scenario: Scenario | undefined;
afterEach(async () => {
  await scenario?.close();
  scenario = undefined;
});

async function filled(seed: number): Promise<Scenario> {
  scenario = await Scenario.start();
  await scenario.fill(seed);
  return scenario;
}

const clean = { corrupt: 0, missing: 0, unreachable: 0, orphans: 0, unrepairable: 0, nodesAway: 0, code: 0 };

test('two folders removed under the running server: readable at once, whole again by itself', async () => {
  const world = await filled(1);
  await loseNodes(world.server, ['node-2', 'node-5']);
  await world.readAll();
  await world.until((status) => status.health !== 'ok' || status.healing.rebuiltFragments > 0);
  const healed = await world.until(isHealed);
  expect(healed.healing.rebuiltFragments).toBeGreaterThan(0);
  expect(healed.survives.nodes).toBe(2);
  await world.readAll();
  expect(await world.scrub()).toMatchObject(clean);
});

describe('damage on disk', () => {
  test('a deleted segment and flipped bits are found and rebuilt while the server runs', async () => {
    const world = await filled(2);
    for (const segment of await segmentsOf(world.folder(1))) await rm(segment);
    let flipped = 0;
    for (const segment of await segmentsOf(world.folder(4))) flipped += await flipBits(segment, 60_000);
    expect(flipped).toBeGreaterThan(10);
    await world.readAll();
    const found = await world.scrub();
    expect(found.unrepairable).toBe(0);
    await world.until(isHealed);
    await world.scrub();
    expect(await world.scrub()).toMatchObject(clean);
    await world.readAll();
  });

  test('the same while the server is stopped', async () => {
    const world = await filled(3);
    await world.server.stop();
    for (const segment of await segmentsOf(world.folder(1))) await rm(segment);
    for (const segment of await segmentsOf(world.folder(4))) await flipBits(segment, 60_000);
    await world.restart();
    await world.readAll();
    await world.scrub();
    await world.until(isHealed);
    expect(await world.scrub()).toMatchObject(clean);
    await world.readAll();
  });

  test('with two nodes away and a third flipping bits, an answer is right or none', async () => {
    const world = await filled(4);
    await world.run('nodes', 'stop', '1');
    await world.run('nodes', 'stop', '2');
    for (const segment of await segmentsOf(world.folder(3))) await flipBits(segment, 20_000);
    const { right, refused } = await world.readWhatIsThere();
    expect(right).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
    await world.run('nodes', 'start', '1');
    await world.run('nodes', 'start', '2');
    await world.until((status) => status.nodes.every((node) => node.state === 'online'));
    await world.readAll();
    await world.scrub();
    await world.until(isHealed);
    expect(await world.scrub()).toMatchObject(clean);
  });
});

test('the directory of another node is offline, not adopted; nodes replace gives it a new one', async () => {
  const world = await filled(5);
  await rename(world.folder(3), `${world.folder(3)}.away`);
  await cp(world.folder(4), world.folder(3), { recursive: true });
  const status = await world.until(({ nodes }) => nodes[2]?.state === 'offline');
  expect(status.health).not.toBe('ok');
  await world.until(({ nodes }) => /another node/.test(nodes[2]?.problem ?? ''));
  await world.readAll();
  const refused = await world.run('nodes', 'replace', '3');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/still holds a node's data/);
  const path = `${world.folder(3)}-new`;
  const replaced = await world.run('nodes', 'replace', '3', '--path', path, '--json');
  expect(JSON.parse(replaced.stdout)).toEqual({ id: 7, path });
  await world.until(isHealed);
  await world.readAll();
  expect(await world.scrub()).toMatchObject(clean);
  await world.server.stop();
  await world.restart();
  const again = await world.until(isHealed);
  expect(again.nodes.map(({ id }) => id)).toEqual([1, 2, 4, 5, 6, 7]);
  await world.readAll();
});

describe('stopped nodes', () => {
  test('two: reads go on, writes are narrow, and get their width when the nodes are back', async () => {
    const world = await filled(6);
    expect((await world.run('nodes', 'stop', '2')).stdout).toBe('node 2 stopped\n');
    await world.run('nodes', 'stop', '6');
    await world.readAll();
    await world.fill(60, 45);
    const narrow = await world.until(({ stripes }) => stripes.narrow > 0);
    expect(narrow.health).toBe('at risk');
    expect(narrow.survives.nodes).toBe(0);
    expect((await world.run('status')).code).toBe(3);
    await world.readAll();
    expect((await world.run('nodes', 'start', '2', '--json')).code).toBe(0);
    await world.run('nodes', 'start', '6');
    await world.until((status) => isHealed(status) && status.stripes.narrow === 0);
    await world.readAll();
    expect((await world.run('status')).code).toBe(0);
    expect(await world.scrub()).toMatchObject(clean);
  });

  test('four: writes and reads are refused clearly, and everything is there afterwards', async () => {
    const world = await filled(7);
    for (const id of ['1', '2', '3', '4']) await world.run('nodes', 'stop', id);
    const write = await world.s3.send('PUT', '/bucket/refused', { body: Buffer.alloc(100_000) });
    expect(write.status).toBe(503);
    expect(write.body.toString()).toMatch(/<Code>ServiceUnavailable<\/Code>/);
    const { right } = await world.readWhatIsThere();
    // Only what has no body, or none in stripes, can be answered.
    expect(right).toBeLessThan(60);
    const status = await world.quickStatus();
    expect(status.health).toBe('unreadable data');
    expect(status.warnings.join()).toMatch(/writes get 503/);
    for (const id of ['1', '2', '3', '4']) await world.run('nodes', 'start', id);
    await world.until(isHealed);
    await world.readAll();
    expect((await world.s3.send('GET', '/bucket/refused')).status).toBe(404);
  });
});
