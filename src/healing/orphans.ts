/**
 * Deletes what no record knows. Fragments of a term that is over, and of the present one when they are not in flight, are dead:
 * the metadata's lock is the fence, so no other writer of this log can be alive (design/healing.md, "Orphans"). A node on which
 * suspiciously much is unknown keeps it until the operator decides.
 */
import { mapKey } from '../base/bytes.ts';
import type { GridNode } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import type { StripeSurgery } from '../stripes/surgery.ts';
import type { FoundFragment, InventoryFindings } from './inventory.ts';

const ORPHANS_WITHOUT_ASKING_MAX = 1000;
const ORPHANS_SHARE_MAX = 0.01;
const DELETES_PER_BATCH_MAX = 500;

export interface OrphanResult {
  readonly deleted: number;
  /** Left alone because they are more than may be deleted without asking. */
  readonly waiting: number;
}

export async function deleteOrphans(
  node: GridNode,
  findings: InventoryFindings,
  sources: {
    readonly engine: MetadataEngine;
    readonly surgery: StripeSurgery;
    readonly busy: ReadonlyMap<string, number>;
  },
  options: { readonly force: boolean },
): Promise<OrphanResult> {
  const limit = Math.max(ORPHANS_WITHOUT_ASKING_MAX, findings.listed * ORPHANS_SHARE_MAX);
  if (findings.orphans.length > limit && !options.force)
    return { deleted: 0, waiting: findings.orphans.length };
  let deleted = 0;
  const dead = [...findings.orphans, ...findings.misplaced];
  for (let at = 0; at < dead.length; at += DELETES_PER_BATCH_MAX) {
    const batch = dead.slice(at, at + DELETES_PER_BATCH_MAX);
    const still: FoundFragment[] = [];
    for (const fragment of batch) if (await isDead(node.id, fragment, sources)) still.push(fragment);
    const addresses = still.map(({ stripeId, index }) => ({ stripeId, index, node: node.id }));
    deleted += (await sources.surgery.deleteFragments(addresses)).length;
  }
  return { deleted, waiting: 0 };
}

/** Asked again right before deleting: the record may have moved the fragment here meanwhile. */
async function isDead(
  nodeId: number,
  { stripeId, index }: FoundFragment,
  sources: {
    readonly engine: MetadataEngine;
    readonly surgery: StripeSurgery;
    readonly busy: ReadonlyMap<string, number>;
  },
): Promise<boolean> {
  const id = mapKey(stripeId);
  if (sources.surgery.inFlight().has(id) || sources.busy.has(id)) return false;
  const bytes = await sources.engine.get(keys.stripe(stripeId));
  if (bytes === undefined) return true;
  return decodeRecord<StripeRecord>(bytes).nodes[index] !== nodeId;
}
