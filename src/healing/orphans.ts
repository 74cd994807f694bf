/**
 * Deletes what no record knows. Fragments of a term that is over, and of the present one when they are not in flight, are dead:
 * the metadata's lock is the fence, so no other writer of this log can be alive (design/healing.md, "Orphans"). A node on which
 * suspiciously much is unknown keeps it until the operator decides, and after the metadata went back in time every node does.
 */
import { mapKey } from '../base/bytes.ts';
import type { GridNode } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import { isGood } from '../stripes/condition.ts';
import type { FragmentAddress, StripeSurgery } from '../stripes/surgery.ts';
import type { StripeClaims } from './claims.ts';
import type { FoundFragment, InventoryFindings } from './inventory.ts';

const ORPHANS_WITHOUT_ASKING_MAX = 1000;
const ORPHANS_SHARE_MAX = 0.01;
const DELETES_PER_BATCH_MAX = 500;

export interface OrphanResult {
  readonly deleted: number;
  /** Left alone: more than may be deleted without asking, or nothing may be deleted at present. */
  readonly waiting: number;
}

export interface OrphanSources {
  readonly engine: MetadataEngine;
  readonly surgery: StripeSurgery;
  readonly claims: StripeClaims;
}

export async function deleteOrphans(
  node: GridNode,
  findings: InventoryFindings,
  sources: OrphanSources,
  options: {
    /** The operator has decided. */
    readonly force: boolean;
    /** Records may be older than what the nodes hold: nothing is deleted unasked. */
    readonly held: boolean;
  },
): Promise<OrphanResult> {
  if (options.held && !options.force) return { deleted: 0, waiting: findings.orphanCount };
  const limit = Math.max(ORPHANS_WITHOUT_ASKING_MAX, findings.listed * ORPHANS_SHARE_MAX);
  const isTooMany = findings.orphanCount > limit && !options.force;
  const dead = [...(isTooMany ? [] : findings.orphans), ...findings.misplaced];
  let deleted = 0;
  for (let at = 0; at < dead.length; at += DELETES_PER_BATCH_MAX) {
    deleted += await deleteBatch(node.id, dead.slice(at, at + DELETES_PER_BATCH_MAX), sources);
  }
  return { deleted, waiting: isTooMany ? findings.orphanCount : 0 };
}

/** Looks once more, with the stripes claimed, so that no repair moves a fragment here between the look and the deletion. */
async function deleteBatch(
  nodeId: number,
  batch: readonly FoundFragment[],
  sources: OrphanSources,
): Promise<number> {
  const claimed = new Map<string, () => void>();
  const dead: FragmentAddress[] = [];
  try {
    for (const { stripeId, index } of batch) {
      if (!claimed.has(mapKey(stripeId))) {
        const release = sources.claims.tryClaim(stripeId);
        if (release === undefined) continue;
        claimed.set(mapKey(stripeId), release);
      }
      if (await isDead(nodeId, { stripeId, index }, sources)) dead.push({ stripeId, index, node: nodeId });
    }
    return (await sources.surgery.deleteFragments(dead)).length;
  } finally {
    for (const release of claimed.values()) release();
  }
}

async function isDead(
  nodeId: number,
  { stripeId, index }: FoundFragment,
  sources: OrphanSources,
): Promise<boolean> {
  if (sources.surgery.inFlight().has(mapKey(stripeId))) return false;
  const bytes = await sources.engine.get(keys.stripe(stripeId));
  if (bytes === undefined) return true;
  const record = decodeRecord<StripeRecord>(bytes);
  return record.nodes[index] !== nodeId && (index >= record.nodes.length || isGood(record, index));
}
