/**
 * Compares what a node holds with what it should hold. Listings are in the order of opaque names and records in the order of
 * positions, so one side has to be remembered: the listing, in as many passes as keep it under a fixed size.
 *
 * Order makes it safe (design/healing.md, "Orphans"): the node is listed first, then the stripes in flight and under repair are
 * noted, then the records are read. A fragment of a stripe that is in none of these three was never acknowledged.
 */
import { mapKey } from '../base/bytes.ts';
import { positionKinds } from '../crypto/locator.ts';
import type { GridNode } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys, prefixes, prefixRange } from '../metadata/keys.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import type { InventoryEntry, StripeSurgery } from '../stripes/surgery.ts';
import { isGood } from './stripestate.ts';

/** About 150 bytes each in memory. */
const ENTRIES_PER_PASS_MAX = 250_000;
const RECORDS_PER_PAGE = 1000;

export interface FoundFragment {
  readonly stripeId: Buffer;
  readonly index: number;
  readonly name: Buffer;
  readonly term: number;
}

export interface InventoryFindings {
  /** Recorded as good on this node, and not there. */
  readonly missing: { readonly stripeId: Buffer; readonly index: number }[];
  /** There, of a stripe that has a record, but the record has this fragment elsewhere. */
  readonly misplaced: FoundFragment[];
  /** There, and no record, tomb or write in flight knows the stripe. */
  readonly orphans: FoundFragment[];
  /** Names that do not invert under this grid's locator: never touched. */
  foreign: number;
  listed: number;
}

export interface InventorySources {
  readonly engine: MetadataEngine;
  readonly surgery: StripeSurgery;
  /** Stripes whose fragments are being moved, by mapKey. */
  readonly busy: ReadonlyMap<string, number>;
  readonly logId: number;
}

/** @throws NodeUnavailable when the node stops answering half-way: then nothing is concluded. */
export async function takeInventory(node: GridNode, sources: InventorySources): Promise<InventoryFindings> {
  const findings: InventoryFindings = { missing: [], misplaced: [], orphans: [], foreign: 0, listed: 0 };
  const held = (await node.store.hello()).fragmentCount;
  const passes = Math.max(1, Math.ceil(held / ENTRIES_PER_PASS_MAX));
  for (let pass = 0; pass < passes; pass++) await inventoryPass(node, sources, findings, { pass, passes });
  return findings;
}

async function inventoryPass(
  node: GridNode,
  sources: InventorySources,
  findings: InventoryFindings,
  part: { readonly pass: number; readonly passes: number },
): Promise<void> {
  const present = await listNode(node, sources, findings, part);
  const inFlight = new Set(sources.surgery.inFlight());
  const busy = new Set(sources.busy.keys());
  const cursor = sources.engine.cursor(prefixRange(prefixes.stripes()));
  try {
    for (
      let page = await cursor.next(RECORDS_PER_PAGE);
      page.length > 0;
      page = await cursor.next(RECORDS_PER_PAGE)
    ) {
      for (const [key, value] of page) {
        const stripeId = Buffer.from(key.subarray(1));
        if (!inPart(stripeId, part)) continue;
        const found = present.get(mapKey(stripeId)) ?? [];
        present.delete(mapKey(stripeId));
        if (busy.has(mapKey(stripeId))) continue;
        compare(node.id, stripeId, decodeRecord<StripeRecord>(value), found, findings);
      }
    }
  } finally {
    await cursor.close();
  }
  for (const [id, fragments] of present) {
    const stripeId = fragments[0]?.stripeId;
    if (stripeId === undefined || inFlight.has(id) || busy.has(id)) continue;
    if ((await sources.engine.get(keys.tomb(stripeId))) !== undefined) continue;
    findings.orphans.push(...fragments);
  }
}

async function listNode(
  node: GridNode,
  sources: InventorySources,
  findings: InventoryFindings,
  part: { readonly pass: number; readonly passes: number },
): Promise<Map<string, FoundFragment[]>> {
  const present = new Map<string, FoundFragment[]>();
  for await (const page of sources.surgery.inventory(node)) {
    for (const entry of page) {
      if (part.pass === 0) count(entry, findings);
      const fragment = entry.fragment;
      if (fragment === undefined || fragment.kind !== positionKinds.data || fragment.logId !== sources.logId)
        continue;
      if (!inPart(fragment.stripeId, part)) continue;
      const { stripeId, index, term } = fragment;
      const found = { stripeId, index, name: entry.name, term };
      const siblings = present.get(mapKey(stripeId));
      if (siblings === undefined) present.set(mapKey(stripeId), [found]);
      else siblings.push(found);
    }
  }
  return present;
}

function count(entry: InventoryEntry, findings: InventoryFindings): void {
  findings.listed += 1;
  if (entry.fragment === undefined) findings.foreign += 1;
}

/** Counters run upwards, so their last bytes spread stripes evenly over passes. */
function inPart(stripeId: Buffer, part: { readonly pass: number; readonly passes: number }): boolean {
  return part.passes === 1 || stripeId.readUInt32BE(12) % part.passes === part.pass;
}

function compare(
  nodeId: number,
  stripeId: Buffer,
  record: StripeRecord,
  found: readonly FoundFragment[],
  findings: InventoryFindings,
): void {
  const indices = new Set(found.map(({ index }) => index));
  for (const [index, holder] of record.nodes.entries()) {
    if (holder === nodeId && isGood(record, index) && !indices.has(index))
      findings.missing.push({ stripeId, index });
  }
  for (const fragment of found) {
    if (record.nodes[fragment.index] !== nodeId) findings.misplaced.push(fragment);
  }
}
