/**
 * What our gateways and nodes say to each other beyond 0-db, after `HELLO holdfast 1`. A request is `HF id VERB argument…`; the answer, in any
 * order, is an array: id, then `+OK` and values, or `-CODE what is wrong` with a code of src/base/errors.ts.
 *
 * | verb | arguments | values |
 * |---|---|---|
 * | HELLO | | names and values of NodeHello, one behind the other |
 * | PUT | log id, term, start, then name and stored bytes of each fragment | an array: `+OK` or an error for each, in order |
 * | READ | name, offset, length | bytes |
 * | LENGTH | name | length; null when there is none |
 * | DELETE | log id, term, start, names | how many were there |
 * | LIST | name after which to begin or empty, limit | 36 bytes each: name, length u32; 1 when there are more, else 0 |
 * | VERIFY | names | an array: 1 intact, 0 corrupt, -1 missing |
 * | FENCE | log id, term, start | |
 */
import { FRAGMENT_NAME_BYTES } from '../../coding/trailer.ts';

export const PROTOCOL = 'holdfast';
export const PROTOCOL_VERSION = 1;
export const EXTENSION = 'HF';
export const LIST_ENTRY_BYTES = FRAGMENT_NAME_BYTES + 4;
/** A page of a listing, so that it fits a value. */
export const LIST_PAGE_MAX = 10_000;

export type Verb = 'HELLO' | 'PUT' | 'READ' | 'LENGTH' | 'DELETE' | 'LIST' | 'VERIFY' | 'FENCE';
