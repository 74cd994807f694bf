/** Inventories and what follows: missing, misplaced, adopted, orphaned and foreign fragments, and uploads that are under way. */
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StripeClaims } from '../../src/healing/claims.ts';
import { Inventories } from '../../src/healing/inventories.ts';
import { takeInventory } from '../../src/healing/inventory.ts';
import { deleteOrphans } from '../../src/healing/orphans.ts';
import { replaceStripe, withGood } from '../../src/healing/stripestate.ts';
import { keys } from '../../src/metadata/keys.ts';
import { decodeRecord, encodeRecord, type StripeRecord } from '../../src/metadata/records.ts';
import { goodCount, isGood } from '../../src/stripes/condition.ts';
import { createHealingWorld, type HealingWorld, queueOf, STRIPE_BYTES } from './world.ts';

let world: HealingWorld;
beforeEach(async () => {
  world = await createHealingWorld();
});
afterEach(async () => {
  await world.close();
  expect(world.failures).toEqual([]);
});

const node = (id: number) => world.registry.node(id)!;
const acting = { acts: true, deleteOrphans: false };
const fragmentsOn = async (id: number) => (await node(id).store.hello()).fragmentCount;

/** Moves fragment `index` to where `to` says in the record, without touching the nodes. */
async function pointTo(stripeId: Buffer, index: number, to: number, good = true): Promise<void> {
  const before = (await world.record(stripeId))!;
  const nodes = before.nodes.map((id, i) => (i === index ? to : id));
  const after = withGood({ ...before, nodes }, new Map([[index, good]]), world.clock.nowMs());
  await world.committer.commit(replaceStripe(stripeId, before, after, 'test'));
}

describe('missing', () => {
  test('a node that came back empty is found out and filled again', async () => {
    const stripes = await Promise.all([1, 2, 3].map(() => world.write(STRIPE_BYTES)));
    await rm(world.folder(2), { recursive: true });
    await world.nodes.look();
    await world.nodes.look();
    expect(node(2).state).toBe('online');
    expect(await fragmentsOn(2)).toBe(0);
    await world.healer.inventories.take(2, acting);
    for (const { stripeId } of stripes) expect(goodCount((await world.record(stripeId))!)).toBe(5);
    const queue = await queueOf(world.engine);
    expect(queue.found).toEqual(queue.expected);
    expect(queue.found).toHaveLength(3);
    await world.repairAll();
    expect(await fragmentsOn(2)).toBe(3);
    expect((await world.healer.stripes.summary({ fresh: true })).complete).toBe(3);
    expect((await queueOf(world.engine)).found).toEqual([]);
  });

  test('what is committed while the node is listed is not missing', async () => {
    await world.write(STRIPE_BYTES);
    const { surgery } = world.stripes;
    let late: Buffer | undefined;
    const sources = {
      engine: world.engine,
      claims: new StripeClaims(),
      logId: 1,
      surgery: {
        ...bound(surgery),
        async *inventory(target: Parameters<typeof surgery.inventory>[0]) {
          yield* surgery.inventory(target);
          // Written, committed and settled behind the listing's back.
          late ??= (await world.write(STRIPE_BYTES)).stripeId;
        },
      },
    };
    const findings = await takeInventory(node(1), sources);
    expect(late).toBeDefined();
    expect(findings.missing).toEqual([]);
  });

  test('nothing is concluded from a node that stops answering half-way', async () => {
    const { stripeId } = await world.write(STRIPE_BYTES);
    const { surgery } = world.stripes;
    const sources = {
      engine: world.engine,
      claims: new StripeClaims(),
      logId: 1,
      surgery: {
        ...bound(surgery),
        // A listing that ends early, as if the rest of the directory could not be seen.
        async *inventory() {
          await world.nodes.stop(1);
          yield [];
        },
      },
    };
    await expect(takeInventory(node(1), sources)).rejects.toMatchObject({ code: 'NodeUnavailable' });
    expect(goodCount((await world.record(stripeId))!)).toBe(6);
  });

  test('a node that becomes another while it is listed is not judged', async () => {
    await world.write(STRIPE_BYTES);
    const { surgery } = world.stripes;
    let replaced = false;
    const sources = {
      engine: world.engine,
      claims: new StripeClaims(),
      logId: 1,
      surgery: {
        ...bound(surgery),
        async *inventory(target: Parameters<typeof surgery.inventory>[0]) {
          if (!replaced) {
            replaced = true;
            await rm(world.folder(1), { recursive: true });
            await world.nodes.look();
            await world.nodes.look();
          }
          yield* surgery.inventory(target);
        },
      },
    };
    await expect(takeInventory(node(1), sources)).rejects.toMatchObject({ code: 'NodeUnavailable' });
  });

  test('a node that lost data is looked at again when what was in flight is decided', async () => {
    const stripe = await world.write(STRIPE_BYTES, { commit: false });
    await rm(world.folder(3), { recursive: true });
    await world.nodes.look();
    await world.nodes.look();
    world.healer.inventories.ask(3, { lostData: true });
    expect(await world.healer.inventories.step()).toBe(true);
    expect(await world.healer.inventories.step()).toBe(false);
    await world.commit(stripe);
    expect(await world.healer.inventories.step()).toBe(true);
    expect(goodCount((await world.record(stripe.stripeId))!)).toBe(5);
  });

  test('what a repair believed good before the node lost it is found out', async () => {
    const { stripeId, record } = await world.write(STRIPE_BYTES);
    const index = record.nodes.indexOf(2);
    const { engine, committer, registry: grid, clock } = world;
    const claims = new StripeClaims();
    const inventories = new Inventories({
      ...{ engine, committer, grid, clock, surgery: world.stripes.surgery, damage: world.healer.damage },
      ...{ claims, log: { info: () => undefined }, logId: 1, heldUntilMs: 0 },
    });
    await world.healer.damage.mark([{ stripeId, index }], 'test');
    const repairing = claims.tryClaim(stripeId)!;
    await rm(world.folder(2), { recursive: true });
    await world.nodes.look();
    await world.nodes.look();
    inventories.ask(2, { lostData: true });
    expect(await inventories.step()).toBe(true);
    await pointTo(stripeId, index, 2, true);
    expect(await inventories.step()).toBe(false);
    repairing();
    expect(await inventories.step()).toBe(true);
    expect(isGood((await world.record(stripeId))!, index)).toBe(false);
  });

  test('a fragment of a stripe that is being repaired is missing all the same', async () => {
    const { stripeId, record } = await world.write(STRIPE_BYTES);
    await node(2).store.delete([world.nameOf(stripeId, record.nodes.indexOf(2))]);
    const claims = new StripeClaims();
    claims.tryClaim(stripeId);
    const sources = { engine: world.engine, surgery: world.stripes.surgery, claims, logId: 1 };
    expect((await takeInventory(node(2), sources)).missing).toHaveLength(1);
  });

  test('findings beyond what is kept are found by the inventory after it', async () => {
    for (let i = 0; i < 5; i++) await world.write(1000);
    await rm(world.folder(2), { recursive: true });
    await world.nodes.look();
    await world.nodes.look();
    const { engine, committer, registry: grid, clock } = world;
    const inventories = new Inventories({
      ...{ engine, committer, grid, clock, surgery: world.stripes.surgery, damage: world.healer.damage },
      ...{ claims: new StripeClaims(), log: { info: () => undefined }, logId: 1, heldUntilMs: 0 },
      findingsMax: 2,
    });
    inventories.ask(2);
    let rounds = 0;
    while (await inventories.step()) rounds += 1;
    expect(rounds).toBe(3);
    expect((await queueOf(engine)).found).toHaveLength(5);
  });
});

describe('unknown', () => {
  test('fragments without a record are deleted, those of an upload under way never', async () => {
    const flying = await world.write(STRIPE_BYTES, { commit: false });
    const dead = await world.write(STRIPE_BYTES, { commit: false });
    world.stripes.settle(dead.stripeId);
    let orphans = 0;
    for (const { id } of world.registry.nodes())
      orphans += (await world.healer.inventories.take(id, acting)).orphans;
    expect(orphans).toBe(6);
    expect(world.healer.inventories.orphansDeleted).toBe(6);
    await world.commit(flying);
    for (const { id } of world.registry.nodes()) {
      expect(await world.healer.inventories.take(id, acting)).toMatchObject({ missing: 0, orphans: 0 });
    }
    expect(await world.stripes.surgery.checkStripe(flying.stripeId, flying.record)).toEqual(
      Array.from({ length: 6 }, () => 'intact'),
    );
  });

  test('what is in flight or recorded by the time of the deletion is spared', async () => {
    const stripe = await world.write(1000, { commit: false });
    const claims = new StripeClaims();
    const sources = { engine: world.engine, surgery: world.stripes.surgery, claims, logId: 1 };
    const findings = await takeInventory(node(1), sources);
    const index = stripe.record.nodes.indexOf(1);
    findings.orphans.push({ stripeId: stripe.stripeId, index });
    const unasked = { force: false, held: false };
    expect(await deleteOrphans(node(1), findings, sources, unasked)).toEqual({ deleted: 0, waiting: 0 });
    await world.commit(stripe);
    expect(await deleteOrphans(node(1), findings, sources, unasked)).toEqual({ deleted: 0, waiting: 0 });
    const release = claims.tryClaim(stripe.stripeId)!;
    await pointTo(stripe.stripeId, index, 2);
    expect(await deleteOrphans(node(1), findings, sources, unasked)).toEqual({ deleted: 0, waiting: 0 });
    release();
    expect(await deleteOrphans(node(1), findings, sources, unasked)).toEqual({ deleted: 1, waiting: 0 });
  });

  test('uploads and sweeps at the same time lose nothing', async () => {
    const stop = performance.now() + 1500;
    const kept: Buffer[] = [];
    const writer = async () => {
      while (performance.now() < stop) {
        const stripe = await world.write(2000, { commit: false });
        if (kept.length % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        await world.commit(stripe);
        kept.push(stripe.stripeId);
      }
    };
    const sweeper = async () => {
      while (performance.now() < stop)
        for (const { id } of world.registry.nodes()) await world.healer.inventories.take(id, acting);
    };
    await Promise.all([writer(), writer(), writer(), sweeper()]);
    expect(kept.length).toBeGreaterThan(20);
    expect(world.healer.inventories.orphansDeleted).toBe(0);
    expect((await queueOf(world.engine)).found).toEqual([]);
    for (const stripeId of kept) {
      const conditions = await world.stripes.surgery.checkStripe(stripeId, (await world.record(stripeId))!);
      expect(conditions.every((condition) => condition === 'intact')).toBe(true);
    }
  });

  test('names of another grid are left alone', async () => {
    const foreign = await world.write(1000, { commit: false });
    const name = world.nameOf(foreign.stripeId, foreign.record.nodes.indexOf(1));
    const bytes = Buffer.alloc((await node(1).store.length(name))!);
    await node(1).store.read(name, 0, bytes);
    const strange = Buffer.alloc(32, 9);
    await node(1).store.put(strange, [bytes]);
    await world.commit(foreign);
    const findings = await world.healer.inventories.take(1, { acts: true, deleteOrphans: true });
    expect(findings).toEqual({ missing: 0, orphans: 0, orphansDeleted: 0 });
    expect(await node(1).store.length(strange)).toBe(bytes.length);
  });

  test('more orphans than may be deleted unasked wait for the operator', async () => {
    const fragment = await world.write(64, { commit: false });
    const index = fragment.record.nodes.indexOf(1);
    const bytes = Buffer.alloc((await node(1).store.length(world.nameOf(fragment.stripeId, index)))!);
    await node(1).store.read(world.nameOf(fragment.stripeId, index), 0, bytes);
    await world.commit(fragment);
    const strangers = Array.from({ length: 1001 }, (_, i) => {
      const stripeId = Buffer.from(fragment.stripeId);
      stripeId.writeUInt32BE(1_000_000 + i, 12);
      return world.nameOf(stripeId, 0);
    });
    await Promise.all(strangers.map((name) => node(1).store.put(name, [bytes])));
    const found = await world.healer.inventories.take(1, acting);
    expect(found).toMatchObject({ orphans: 1001, orphansDeleted: 0 });
    expect(world.healer.inventories.orphansWaiting).toBe(1001);
    const asked = await world.healer.inventories.take(1, { acts: true, deleteOrphans: true });
    expect(asked.orphansDeleted).toBe(1001);
    expect(world.healer.inventories.orphansWaiting).toBe(0);
    expect(await fragmentsOn(1)).toBe(1);
  });

  test('after the metadata went back in time nothing is deleted unasked', async () => {
    await world.close();
    world = await createHealingWorld({ heldUntilMs: Number.MAX_SAFE_INTEGER });
    const dead = await world.write(1000, { commit: false });
    world.stripes.settle(dead.stripeId);
    const known = await world.write(1000);
    await pointTo(known.stripeId, 0, known.record.nodes[1]!);
    const on = known.record.nodes[0]!;
    await world.healer.inventories.take(on, acting);
    expect(world.healer.inventories.orphansDeleted).toBe(0);
    expect(world.healer.inventories.orphansWaiting).toBe(1);
    expect(await fragmentsOn(on)).toBe(2);
  });
});

describe('misplaced', () => {
  test('a copy that the record has elsewhere and good is deleted', async () => {
    const { stripeId, record } = await world.write(1000);
    const [from, to] = [record.nodes[0]!, record.nodes[1]!];
    await pointTo(stripeId, 0, to);
    await world.healer.inventories.take(from, acting);
    expect(await node(from).store.length(world.nameOf(stripeId, 0))).toBeUndefined();
  });

  test('a copy of what the record misses is taken into the record and verified', async () => {
    const { stripeId, record } = await world.write(1000);
    const holder = record.nodes[0]!;
    await world.committer.commit([
      { type: 'put', key: keys.node(99), value: encodeRecord({ ...node(1).record, path: '/nowhere' }) },
    ]);
    await pointTo(stripeId, 0, 99, false);
    await world.healer.inventories.take(holder, acting);
    expect((await world.record(stripeId))!.nodes[0]).toBe(holder);
    expect(isGood((await world.record(stripeId))!, 0)).toBe(false);
    await world.repairAll();
    expect(goodCount((await world.record(stripeId))!)).toBe(6);
    const stored = decodeRecord<StripeRecord>((await world.engine.get(keys.stripe(stripeId)))!);
    expect(stored.nodes).toEqual(record.nodes);
  });

  test('a stripe that is being moved is left alone', async () => {
    const { stripeId, record } = await world.write(1000);
    const from = record.nodes[0]!;
    const claims = new StripeClaims();
    const release = claims.tryClaim(stripeId)!;
    await pointTo(stripeId, 0, record.nodes[1]!);
    const sources = { engine: world.engine, surgery: world.stripes.surgery, claims, logId: 1 };
    expect((await takeInventory(node(from), sources)).misplaced).toEqual([]);
    release();
    expect((await takeInventory(node(from), sources)).misplaced).toHaveLength(1);
  });
});

/** The methods of a class instance, so that some of them can be replaced. */
function bound(surgery: HealingWorld['stripes']['surgery']): HealingWorld['stripes']['surgery'] {
  return {
    checkStripe: surgery.checkStripe.bind(surgery),
    rebuild: surgery.rebuild.bind(surgery),
    deleteFragments: surgery.deleteFragments.bind(surgery),
    inventory: surgery.inventory.bind(surgery),
    inFlight: surgery.inFlight.bind(surgery),
  };
}
