/** Listings, in order of insertion. A page is what fits a slice of time, as in 0-db. */
import { Bulk, type RespValue } from '../../base/resp/values.ts';
import { SECOND_MS } from '../../base/units.ts';
import type { Namespace } from '../namespace.ts';
import type { Place } from '../scanorder.ts';
import { type Command, failure, unexpectedArguments } from './context.ts';
import { frozen, readReference, writeReference } from './values.ts';

const SLICE_MS = 2;
const PAGE_ENTRIES_MAX = 4096;
/** What KSCAN returns at most: it has no cursor. */
const KSCAN_KEYS_MAX = 65_536;

function scanning(backwards: boolean): Command {
  return async (_, { namespace }, args) => {
    if (args.length > 1) return unexpectedArguments;
    if (namespace.settings.frozen) return frozen;
    const after = args[0] === undefined ? undefined : readReference(args[0]);
    if (after === null) return failure('Invalid key format');
    const page = await namespace.scan(after, backwards, PAGE_ENTRIES_MAX, SLICE_MS);
    if (page === undefined) return failure('No more data');
    const entries = page.entries.map(
      ({ key, lengthBytes, timestampMs }): RespValue => [
        Bulk.of(key),
        lengthBytes,
        Math.floor(timestampMs / SECOND_MS),
      ],
    );
    return [Bulk.of(writeReference(page.cursor)), entries];
  };
}

export const scan = scanning(false);
export const rscan = scanning(true);

/** Keys that begin with what is given. */
export const kscan: Command = async (_, { namespace }, args) => {
  if (args.length !== 1) return unexpectedArguments;
  if (namespace.settings.frozen) return frozen;
  return keysThatBegin(namespace, args[0]!.toBuffer());
};

async function keysThatBegin(namespace: Namespace, prefix: Buffer): Promise<RespValue> {
  const keys: Bulk[] = [];
  let cursor: Place | undefined;
  while (keys.length < KSCAN_KEYS_MAX) {
    const page = await namespace.scan(cursor, false, PAGE_ENTRIES_MAX, SLICE_MS);
    if (page === undefined) break;
    for (const { key } of page.entries) {
      if (key.subarray(0, prefix.length).equals(prefix)) keys.push(Bulk.of(key));
    }
    cursor = page.cursor;
  }
  return keys.slice(0, KSCAN_KEYS_MAX);
}
