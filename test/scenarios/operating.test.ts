/** What the operator is told: status, nodes and scrub as text, JSON and exit codes, and clear errors for wrong questions. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isHealed, Scenario } from './world.ts';

let world: Scenario;
beforeAll(async () => {
  world = await Scenario.start();
  await world.fill(1, 30);
});
afterAll(() => world.close());

test('status of a whole grid', async () => {
  await world.until(isHealed);
  const { code, stdout } = await world.run('status');
  expect(code).toBe(0);
  expect(stdout).toMatch(/any 2 nodes lost at once; 0 disk losses \(all nodes are on one disk\)/);
  expect(stdout).toMatch(/Losing one disk can lose data/);
  const status = await world.status();
  expect(status).toMatchObject({
    health: 'ok',
    objects: { count: 30, buckets: 1 },
    stripes: { incomplete: 0, atRisk: 0, unreadable: 0, narrow: 0 },
    survives: { nodes: 2, disks: 0 },
  });
  expect(status.stripes.total).toBeGreaterThan(0);
  expect(status.capacity.usableBytes).toBeGreaterThan(0);
});

test('a stopped node shows everywhere, with the reason', async () => {
  await world.run('nodes', 'stop', '4');
  const status = await world.until(({ health }) => health === 'degraded');
  expect(status.survives.nodes).toBe(1);
  expect(status.stripes.incomplete).toBe(status.stripes.total);
  expect(status.nodes[3]).toMatchObject({ id: 4, state: 'offline', problem: 'stopped by the operator' });
  const list = await world.run('nodes', 'list');
  expect(list.code).toBe(3);
  expect(list.stdout).toMatch(/^4 +offline .*stopped by the operator$/m);
  expect((await world.run('status')).code).toBe(3);
  const dry = await world.scrub('--dry-run');
  expect(dry).toMatchObject({ dryRun: true, code: 3, nodesAway: 1, corrupt: 0, missing: 0 });
  expect(dry.unreachable).toBeGreaterThan(0);
  expect((await world.run('nodes', 'start', '4')).code).toBe(0);
  await world.until(isHealed);
  expect((await world.run('nodes', 'list')).code).toBe(0);
});

test('wrong questions get clear errors', async () => {
  for (const verb of ['stop', 'start', 'replace']) {
    const unknown = await world.run('nodes', verb, '99');
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toBe('holdfast: there is no node 99; holdfast nodes list shows them\n');
    expect((await world.run('nodes', verb, 'four')).code).toBe(2);
  }
  const taken = await world.run('nodes', 'replace', '1', '--path', world.folder(2));
  expect(taken.stderr).toMatch(/is the folder of node 2/);
  expect((await world.quickStatus()).nodes.every(({ state }) => state === 'online')).toBe(true);
});

test('a node is replaced by one in another folder, once', async () => {
  const path = `${world.folder(1)}-new`;
  const replaced = await world.run('nodes', 'replace', '1', '--path', path, '--json');
  expect(JSON.parse(replaced.stdout)).toEqual({ id: 7, path });
  const status = await world.until(isHealed);
  expect(status.nodes.map(({ id }) => id)).toEqual([2, 3, 4, 5, 6, 7]);
  await world.readAll();
  for (const verb of ['stop', 'start', 'replace']) {
    expect((await world.run('nodes', verb, '1')).stderr).toMatch(/node 1 was replaced by node 7/);
  }
  await world.server.stop();
  await world.restart();
  const again = await world.until(isHealed);
  expect(again.nodes.map(({ id }) => id)).toEqual([2, 3, 4, 5, 6, 7]);
  await world.readAll();
});
