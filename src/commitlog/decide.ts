/**
 * Whether one commit may go ahead, and what it changes: pure functions over the state it is checked against.
 */
import { bytesEqual, mapKey } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { decodeCounter, encodeCounter } from '../metadata/counter.ts';
import type { CommitOperation, Precondition } from './commit.ts';

/** The value as of now of the key with this `mapKey`; undefined when it is absent. */
export type Lookup = (id: string) => Uint8Array | undefined;

export interface Decision {
  /** What each key becomes, in the order of first mention; undefined deletes. */
  readonly changes: readonly (readonly [key: Uint8Array, value: Uint8Array | undefined])[];
  readonly counters: readonly number[];
}

/** Keys whose present value decides something. */
export function keysNeeded(
  operations: readonly CommitOperation[],
  preconditions: readonly Precondition[],
): Uint8Array[] {
  const needed = preconditions.map(({ key }) => key);
  for (const operation of operations) if (operation.type === 'add') needed.push(operation.key);
  return needed;
}

/** @throws CommitConflict when a precondition does not hold. */
export function decide(
  operations: readonly CommitOperation[],
  preconditions: readonly Precondition[],
  lookup: Lookup,
): Decision {
  for (const { key, expect } of preconditions) {
    const found = lookup(mapKey(key));
    const holds = found === undefined || expect === undefined ? found === expect : bytesEqual(found, expect);
    if (!holds) throw new HoldfastError('CommitConflict', { detail: describeConflict(key, found, expect) });
  }
  const changes = new Map<string, readonly [Uint8Array, Uint8Array | undefined]>();
  const counters: number[] = [];
  for (const operation of operations) {
    const id = mapKey(operation.key);
    if (operation.type === 'add') {
      const own = changes.get(id);
      const value = decodeCounter(own ? own[1] : lookup(id)) + operation.delta;
      counters.push(value);
      changes.set(id, [operation.key, encodeCounter(value)]);
    } else {
      changes.set(id, [operation.key, operation.type === 'put' ? operation.value : undefined]);
    }
  }
  return { changes: [...changes.values()], counters };
}

/** Names the kind of key only: names of objects do not belong in errors. */
function describeConflict(key: Uint8Array, found: unknown, expect: unknown): string {
  const kind = String.fromCharCode(key[0] ?? 0x3f);
  if (found === undefined) return `a precondition did not hold: the key of kind '${kind}' is gone`;
  const state = expect === undefined ? 'is already there' : 'was changed in between';
  return `a precondition did not hold: the key of kind '${kind}' ${state}`;
}
