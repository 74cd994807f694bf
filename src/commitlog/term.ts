/**
 * The token of one start of a gateway: a term that no start had before, and a random number, so that two starts that took
 * the same term never share a name (design/commits.md, "Names"). Until nodes have registers, the term is one more than
 * the highest that this metadata or the nodes' inventories show.
 */
import { assert } from '../base/assert.ts';
import { u32 } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';

const TERM_KEY = keys.singleton('term');
const TERM_MAX = 0xffff_ffff;

export interface Token {
  readonly term: number;
  readonly start: number;
}

/**
 * Takes the next term, on stable storage before it is returned: nothing may be named or committed before.
 * `inventoriedTerm` is the highest term among the names on the nodes, 0 when there are none.
 */
export async function openTerm(
  engine: MetadataEngine,
  inventoriedTerm: number,
  random: Random,
): Promise<Token> {
  assert(Number.isInteger(inventoriedTerm) && inventoriedTerm >= 0, 'a term is a count');
  const stored = await engine.get(TERM_KEY);
  const term = 1 + Math.max(stored?.readUInt32BE(0) ?? 0, inventoriedTerm);
  if (term > TERM_MAX) throw new HoldfastError('InternalError', { detail: 'all terms have been used' });
  await engine.batch([{ type: 'put', key: TERM_KEY, value: u32(term) }], { sync: true });
  return { term, start: random.bytes(4).readUInt32BE(0) };
}
