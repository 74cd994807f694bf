/**
 * Brings a simulated system to rest and checks what must be true of it then: every stripe complete on distinct nodes, no
 * fragment anywhere that no record knows, nothing queued, nothing leaked, the metadata consistent.
 */
import { expect } from 'vitest';
import { mapKey } from '../../src/base/bytes.ts';
import { HOUR_MS } from '../../src/base/units.ts';
import { stripeIdOf } from '../../src/crypto/locator.ts';
import { prefixes } from '../../src/metadata/keys.ts';
import { decodeRecord, type StripeRecord } from '../../src/metadata/records.ts';
import { checkInvariants } from '../objects/invariants.ts';
import { readAll } from '../objects/world.ts';
import { bufferCounts, type SimulatedGateway } from './gateway.ts';

const ROUNDS_MAX = 6;
const MIB = 1024 * 1024;

/** `drive` runs the clock until a promise settles, `rest` for so long. */
export interface Driver {
  drive<T>(work: Promise<T>): Promise<T>;
  rest(forMs: number): Promise<void>;
}

/** Lets healing and upkeep finish, a few hours at a time. */
export async function comeToRest(gateway: SimulatedGateway, { drive, rest }: Driver): Promise<void> {
  const { healer, objects, clock, engine } = gateway;
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    await rest(20_000);
    while ((await drive(objects.upkeep.collectGarbage(100))).steps > 0);
    await drive(objects.upkeep.buryEmptyStripes());
    await drive(objects.upkeep.compactSharedStripes({ bytesMax: 64 * MIB }));
    await drive(objects.upkeep.idle());
    clock.leap(2 * HOUR_MS);
    await rest(5_000);
    const { counts, orphans } = await drive(healer.scrubNow({ dryRun: false }));
    const tombs = await readAll(engine, prefixes.tombs());
    const garbage = await readAll(engine, prefixes.garbage());
    const found = orphans + counts.corrupt + counts.missing + counts.unreachable;
    if (round > 1 && found + tombs.length + garbage.length + (await healer.queueLength()) === 0) return;
  }
}

export async function checkAtRest(gateway: SimulatedGateway, { drive }: Driver): Promise<void> {
  const { healer, registry, stripes, stripeEngine } = gateway;
  expect(await drive(healer.queueLength()), 'stripes in the repair queue').toBe(0);
  const summary = await drive(healer.stripes.summary({ fresh: true }));
  expect(summary.complete, `complete of ${summary.total} stripes`).toBe(summary.total);
  await checkFragments(gateway);
  const { counts, orphans } = await drive(healer.scrubNow({ dryRun: true }));
  expect({ ...counts, orphans, verifiedBytes: 0, verifiedFragments: 0 }, 'a scrub').toEqual({
    ...{ corrupt: 0, missing: 0, unreachable: 0, orphans: 0, verifiedBytes: 0, verifiedFragments: 0 },
  });
  expect([...stripes.surgery.inFlight()], 'stripes in flight').toEqual([]);
  for (const pool of ['write', 'read', 'rescue', 'repair'] as const) {
    expect(stripeEngine.memory.available(pool), `${pool} buffers`).toBe(bufferCounts[pool]);
  }
  for (const node of registry.nodes()) {
    if (node.record.state !== 'lost') expect(node.state, `node ${node.id}`).toBe('online');
  }
  await checkMetadata(gateway);
}

/** Each node holds what the records say, and nothing else. */
async function checkFragments({ registry, engine, locator }: SimulatedGateway): Promise<void> {
  const expected: string[] = [];
  for (const [key, value] of await readAll(engine, prefixes.stripes())) {
    const { nodes } = decodeRecord<StripeRecord>(value);
    expect(new Set(nodes).size, 'nodes of a stripe are distinct').toBe(nodes.length);
    expected.push(...nodes.map((node, index) => `${key.toString('hex', 1)} ${index} on ${node}`));
  }
  const found: string[] = [];
  for (const node of registry.nodes()) {
    if (node.record.state === 'lost') continue;
    const { fragments } = await node.store.list(undefined, 100_000);
    for (const { name } of fragments) {
      const position = locator.invert(name);
      expect(position, 'a name that does not invert').toBeDefined();
      if (position !== undefined)
        found.push(`${stripeIdOf(position).toString('hex')} ${position.index} on ${node.id}`);
    }
  }
  expect(found.sort(), 'fragments on nodes').toEqual(expected.sort());
}

/** The object layer's own invariants; what they ask of its test double for stripes is answered from the nodes. */
async function checkMetadata(gateway: SimulatedGateway): Promise<void> {
  const { engine, objects, stripes } = gateway;
  const recorded = await readAll(engine, prefixes.stripes());
  const payloads = new Map(recorded.map(([key]) => [mapKey(key.subarray(1)), true]));
  const doubled = {
    ...{ payloads, inFlight: stripes.surgery.inFlight(), pinned: new Set() },
    ...{ openPieces: 0, digesters: 0, pool: { available: 0, capacity: 0 } },
  };
  const world = { engine, stripes: doubled, upkeep: objects.upkeep, failures: [] };
  await checkInvariants(world as unknown as Parameters<typeof checkInvariants>[0]);
}
