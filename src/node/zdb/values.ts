/** Commands for values. Errors are those of 0-db 2.0.7, to the letter. */
import { Bulk, RespFailure, type RespValue } from '../../base/resp/values.ts';
import { SECOND_MS } from '../../base/units.ts';
import { offsetOf, type Place, segmentOf } from '../scanorder.ts';
import { RECORD_KEY_BYTES_MAX } from '../segmentformat.ts';
import { type Command, failure, keyNotFound, ok, unexpectedArguments, type ZdbState } from './context.ts';

const MGET_KEYS_MAX = 1023;
const CURSOR_BYTES = 17;
const REFERENCE_BYTES = 8;

export const locked = failure('Namespace is temporarily locked (read-only)');
export const frozen = failure('Namespace is temporarily frozen (read-write disabled)');

/** Why the namespace cannot be read now. */
function unreadable({ namespace }: ZdbState): RespFailure | undefined {
  return namespace.settings.frozen ? frozen : undefined;
}

/** Why it cannot be written now. */
function unwritable({ namespace, mayWrite }: ZdbState): RespFailure | undefined {
  const { settings } = namespace;
  if (settings.frozen) return frozen;
  if (settings.locked) return locked;
  return mayWrite ? undefined : failure('Namespace is in read-only mode');
}

export const set: Command = async (_, state, args) => {
  if (args.length < 2 || args.length > 3) return unexpectedArguments;
  const [key, value] = [args[0]!.toBuffer(), args[1]!.toBuffer()];
  if (key.length > RECORD_KEY_BYTES_MAX) return failure('Key too large');
  const refusal = unwritable(state);
  if (refusal) return refusal;
  const timestamp = args[2] === undefined ? undefined : Number(args[2].toString());
  if (timestamp !== undefined && !(timestamp >= 0 && timestamp < 2 ** 32))
    return failure('Invalid timestamp');
  const { namespace } = state;
  const name = await nameFor(state, key);
  if (name instanceof RespFailure) return name;
  const timestampMs = timestamp === undefined ? undefined : Math.floor(timestamp) * SECOND_MS;
  const outcome = await namespace.set(name, value, timestampMs);
  if (outcome === 'worm') return failure('Namespace is protected by worm mode');
  return outcome === 'same' ? null : Bulk.of(name);
};

/** The key under which a value goes: in sequential mode a new one where none is given. */
async function nameFor({ namespace }: ZdbState, key: Buffer): Promise<Buffer | RespFailure> {
  if (namespace.settings.mode === 'user') {
    return key.length === 0 ? failure('Invalid argument, key needed') : key;
  }
  if (key.length === 0) return namespace.allocate();
  return namespace.has(key) ? key : failure('Invalid key, only update authorized');
}

export const get: Command = async (_, state, args) => {
  if (args.length !== 1) return unexpectedArguments;
  const refusal = unreadable(state);
  if (refusal) return refusal;
  const value = await state.namespace.get(args[0]!.toBuffer());
  return value === undefined ? null : Bulk.of(value);
};

export const mget: Command = async (_, state, args) => {
  if (args.length < 1 || args.length > MGET_KEYS_MAX) return unexpectedArguments;
  const refusal = unreadable(state);
  if (refusal) return refusal;
  const found: RespValue[] = [];
  for (const key of args) {
    const value = await state.namespace.get(key.toBuffer());
    found.push(value === undefined ? null : Bulk.of(value));
  }
  return found;
};

export const del: Command = async (_, state, args) => {
  if (args.length !== 1) return unexpectedArguments;
  const refusal = unwritable(state);
  if (refusal) return refusal;
  if (state.namespace.settings.worm) return failure('Cannot delete a key when namespace is in worm mode');
  return (await state.namespace.delete(args[0]!.toBuffer())) ? ok : keyNotFound;
};

export const exists: Command = (_, state, args) => {
  if (args.length !== 1) return unexpectedArguments;
  return unreadable(state) ?? (state.namespace.has(args[0]!.toBuffer()) ? 1 : 0);
};

export const check: Command = async (_, state, args) => {
  if (args.length !== 1) return unexpectedArguments;
  const refusal = unreadable(state);
  if (refusal) return refusal;
  const found = await state.namespace.check(args[0]!.toBuffer());
  return found === 'missing' ? null : found === 'intact' ? 1 : 0;
};

export const length: Command = (_, state, args) => {
  if (args.length !== 1) return unexpectedArguments;
  return unreadable(state) ?? state.namespace.length(args[0]!.toBuffer()) ?? null;
};

export const keytime: Command = async (_, state, args) => {
  if (args.length !== 1) return unexpectedArguments;
  const refusal = unreadable(state);
  if (refusal) return refusal;
  const timestampMs = await state.namespace.timestampMs(args[0]!.toBuffer());
  return timestampMs === undefined ? null : Math.floor(timestampMs / SECOND_MS);
};

/** Packed and little-endian, as 0-db's index has it: u8 key length, u32 file, u32 length, u32 offset, u32 CRC (0 here). */
export const keycur: Command = (_, state, args) => {
  if (args.length !== 1) return unexpectedArguments;
  const refusal = unreadable(state);
  if (refusal) return refusal;
  const key = args[0]!.toBuffer();
  const place = state.namespace.placeOf(key);
  if (place === undefined) return keyNotFound;
  const cursor = Buffer.alloc(CURSOR_BYTES);
  cursor[0] = key.length;
  cursor.writeUInt32LE(segmentOf(place) >>> 0, 1);
  cursor.writeUInt32LE(state.namespace.length(key) ?? 0, 5);
  cursor.writeUInt32LE(offsetOf(place), 9);
  return Bulk.of(cursor);
};

export const history: Command = async (_, state, args) => {
  if (args.length < 1 || args.length > 2) return unexpectedArguments;
  const refusal = unreadable(state);
  if (refusal) return refusal;
  const at = args[1] === undefined ? undefined : readReference(args[1]);
  if (at === null) return failure('Invalid argument');
  const key = args[0]!.toBuffer();
  const found = await state.namespace.history(key, at);
  if (found === undefined) return state.namespace.has(key) ? null : keyNotFound;
  const previous = found.previous === undefined ? null : Bulk.of(writeReference(found.previous));
  return [previous, Math.floor(found.timestampMs / SECOND_MS), Bulk.of(found.value)];
};

/** A place as clients see it: opaque, eight bytes. */
export function writeReference(place: Place): Buffer {
  const bytes = Buffer.alloc(REFERENCE_BYTES);
  bytes.writeDoubleBE(place);
  return bytes;
}

/** null when it is none. */
export function readReference(bulk: Bulk): Place | null {
  if (bulk.length !== REFERENCE_BYTES) return null;
  const place = bulk.toBuffer().readDoubleBE();
  return Number.isSafeInteger(place) && place >= 0 ? place : null;
}
