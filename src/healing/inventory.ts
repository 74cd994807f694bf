/**
 * Compares what a node holds with what it should hold. Listings are in the order of opaque names and records in the order of
 * positions, so one side has to be remembered: the listing, in as many passes as keep it under a fixed size.
 *
 * Order makes it safe, and the two findings need opposite orders (design/healing.md, "Orphans"):
 * - unknown: the node is listed first, then the stripes in flight and those being moved are noted, then the records are read. A
 *   fragment of a stripe that is in none of these three was never acknowledged.
 * - missing: the records are read first, then the node is listed (again). What a record names was stored before the record was
 *   written, so a listing that began after it shows it.
 */
import { mapKey } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { positionKinds } from '../crypto/locator.ts';
import type { GridNode } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys, prefixes } from '../metadata/keys.ts';
import { pages } from '../metadata/pages.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import { isGood } from '../stripes/condition.ts';
import type { InventoryEntry, StripeSurgery } from '../stripes/surgery.ts';
import type { StripeClaims } from './claims.ts';

/** About 150 bytes each in memory: entries of a listing in one pass, and findings of one kind in one inventory. */
const ENTRIES_PER_PASS_MAX = 250_000;
const FINDINGS_MAX = 250_000;
const RECORDS_PER_PAGE = 1000;

export interface FoundFragment {
  readonly stripeId: Buffer;
  readonly index: number;
}

export interface InventoryFindings {
  /** Recorded as good on this node, and not there. */
  missing: FoundFragment[];
  /** There, of a stripe that has a record, but the record knows a good fragment of this index elsewhere. */
  readonly misplaced: FoundFragment[];
  /** There, while the record has this fragment as bad elsewhere and nothing of the stripe here: may be what is missing. */
  readonly adoptable: FoundFragment[];
  /** There, and no record, tomb or write in flight knows the stripe. */
  readonly orphans: FoundFragment[];
  /** All of them, also those beyond what `orphans` holds. */
  orphanCount: number;
  /** Names that do not invert under this grid's locator: never touched. */
  foreign: number;
  listed: number;
  /** There was more to find than is kept: take another inventory when these findings have been dealt with. */
  truncated: boolean;
  /** Stripes that were in flight or being moved: their next records may name fragments that this inventory did not look for. */
  readonly undecided: Set<string>;
}

export interface InventorySources {
  readonly engine: MetadataEngine;
  readonly surgery: StripeSurgery;
  readonly claims: StripeClaims;
  readonly logId: number;
  readonly findingsMax?: number;
}

interface Part {
  readonly pass: number;
  readonly passes: number;
}

/** @throws NodeUnavailable when the node stops answering half-way or becomes another: then nothing is concluded */
export async function takeInventory(node: GridNode, sources: InventorySources): Promise<InventoryFindings> {
  const findings: InventoryFindings = {
    ...{ missing: [], misplaced: [], adoptable: [], orphans: [] },
    ...{ orphanCount: 0, foreign: 0, listed: 0, truncated: false, undecided: new Set() },
  };
  const before = await node.store.hello();
  const passes = Math.max(1, Math.ceil(before.fragmentCount / ENTRIES_PER_PASS_MAX));
  for (let pass = 0; pass < passes; pass++) await inventoryPass(node, sources, findings, { pass, passes });
  if (findings.missing.length > 0) findings.missing = await stillMissing(node, sources, findings.missing);
  const after = await node.store.hello();
  if (after.nodeUuid !== before.nodeUuid || after.durableAppends < before.durableAppends) {
    throw new HoldfastError('NodeUnavailable', {
      detail: `node ${node.id} became another while it was listed`,
    });
  }
  return findings;
}

async function inventoryPass(
  node: GridNode,
  sources: InventorySources,
  findings: InventoryFindings,
  part: Part,
): Promise<void> {
  const present = await listNode(node, sources, findings, part);
  const inFlight = new Set(sources.surgery.inFlight());
  const claimed = sources.claims.snapshot();
  const add = adder(findings, sources.findingsMax ?? FINDINGS_MAX);
  for (const id of [...inFlight, ...claimed]) findings.undecided.add(id);
  for await (const page of pages(sources.engine, prefixes.stripes(), RECORDS_PER_PAGE)) {
    for (const [key, value] of page) {
      const stripeId = Buffer.from(key.subarray(1));
      if (!inPart(stripeId, part)) continue;
      const id = mapKey(stripeId);
      const found = present.get(id) ?? [];
      present.delete(id);
      const record = decodeRecord<StripeRecord>(value);
      findMissing(node.id, stripeId, record, found, add);
      if (!claimed.has(id)) findStray(node.id, record, found, add);
    }
  }
  for (const [id, fragments] of present) {
    const stripeId = fragments[0]?.stripeId;
    if (stripeId === undefined || inFlight.has(id) || claimed.has(id)) continue;
    if ((await sources.engine.get(keys.tomb(stripeId))) !== undefined) continue;
    findings.orphanCount += fragments.length;
    for (const fragment of fragments) add('orphans', fragment);
  }
}

type Finding = 'missing' | 'misplaced' | 'adoptable' | 'orphans';

function adder(findings: InventoryFindings, max: number): Add {
  return (kind, fragment) => {
    if (findings[kind].length < max) findings[kind].push(fragment);
    else findings.truncated = true;
  };
}

async function* ownEntries(
  node: GridNode,
  sources: InventorySources,
  onEntry: (entry: InventoryEntry) => void,
): AsyncGenerator<FoundFragment, void, void> {
  for await (const page of sources.surgery.inventory(node)) {
    for (const entry of page) {
      onEntry(entry);
      const { fragment } = entry;
      if (fragment?.kind !== positionKinds.data || fragment.logId !== sources.logId) continue;
      yield { stripeId: fragment.stripeId, index: fragment.index };
    }
  }
}

async function listNode(
  node: GridNode,
  sources: InventorySources,
  findings: InventoryFindings,
  part: Part,
): Promise<Map<string, FoundFragment[]>> {
  const present = new Map<string, FoundFragment[]>();
  const count = (entry: InventoryEntry) => {
    if (part.pass > 0) return;
    findings.listed += 1;
    if (entry.fragment === undefined) findings.foreign += 1;
  };
  for await (const found of ownEntries(node, sources, count)) {
    if (!inPart(found.stripeId, part)) continue;
    const siblings = present.get(mapKey(found.stripeId));
    if (siblings === undefined) present.set(mapKey(found.stripeId), [found]);
    else siblings.push(found);
  }
  return present;
}

/** Those of `missing` that a listing begun after the records were read does not show either. */
async function stillMissing(
  node: GridNode,
  sources: InventorySources,
  missing: readonly FoundFragment[],
): Promise<FoundFragment[]> {
  const left = new Map(missing.map((fragment) => [fragmentKey(fragment), fragment]));
  for await (const found of ownEntries(node, sources, () => undefined)) left.delete(fragmentKey(found));
  return [...left.values()];
}

function fragmentKey({ stripeId, index }: FoundFragment): string {
  return `${mapKey(stripeId)}${index}`;
}

/** Counters run upwards, so their last bytes spread stripes evenly over passes. */
function inPart(stripeId: Buffer, part: Part): boolean {
  return part.passes === 1 || stripeId.readUInt32BE(12) % part.passes === part.pass;
}

type Add = (kind: Finding, fragment: FoundFragment) => void;

/** Also of stripes that are being repaired: the mark makes that repair begin again with what is true now. */
function findMissing(
  nodeId: number,
  stripeId: Buffer,
  record: StripeRecord,
  found: readonly FoundFragment[],
  add: Add,
): void {
  const indices = new Set(found.map(({ index }) => index));
  for (const [index, holder] of record.nodes.entries()) {
    if (holder === nodeId && isGood(record, index) && !indices.has(index))
      add('missing', { stripeId, index });
  }
}

function findStray(nodeId: number, record: StripeRecord, found: readonly FoundFragment[], add: Add): void {
  for (const fragment of found) {
    if (record.nodes[fragment.index] === nodeId) continue;
    const isWanted = fragment.index < record.nodes.length && !isGood(record, fragment.index);
    if (!isWanted) add('misplaced', fragment);
    else if (!record.nodes.includes(nodeId)) add('adoptable', fragment);
  }
}
