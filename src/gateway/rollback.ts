/**
 * Metadata that went back in time, as when it was put back from a copy: the nodes then show a term that it never took. What it does
 * not know may have been acknowledged, so nothing unknown is deleted for seven days unless the operator says so
 * (design/healing.md, "Orphans").
 */
import { u64 } from '../base/bytes.ts';
import { DAY_MS } from '../base/units.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';

const TERM_KEY = keys.singleton('term');
const HELD_KEY = keys.singleton('orphans-held');
const HELD_MS = 7 * DAY_MS;

/**
 * Until when (wall clock) orphans are kept; 0 when they need not be. Asked at each start, before a term is taken: every term is in
 * the metadata before it is in a name.
 */
export async function orphansHeldUntilMs(
  engine: MetadataEngine,
  inventoriedTerm: number,
  nowMs: number,
): Promise<number> {
  const [term, held] = await engine.getMany([TERM_KEY, HELD_KEY]);
  if (inventoriedTerm <= (term?.readUInt32BE(0) ?? 0)) return Number(held?.readBigUInt64BE(0) ?? 0n);
  const untilMs = nowMs + HELD_MS;
  await engine.batch([{ type: 'put', key: HELD_KEY, value: u64(untilMs) }], { sync: true });
  return untilMs;
}
