/** The verbs of protocol.ts on one namespace of an open node. Nothing that a request says is trusted. */
import { HoldfastError } from '../../base/errors.ts';
import { Bulk, RespFailure, type RespValue, SimpleString } from '../../base/resp/values.ts';
import { FRAGMENT_NAME_BYTES } from '../../coding/trailer.ts';
import { STORED_FRAGMENT_BYTES_MAX } from '../fragmentstore.ts';
import type { Namespace } from '../namespace.ts';
import type { Writer } from '../registers.ts';
import type { NodeStore } from '../store.ts';
import { LIST_ENTRY_BYTES, LIST_PAGE_MAX, PROTOCOL, PROTOCOL_VERSION, type Verb } from './protocol.ts';

const U16_MAX = 0xffff;
const U32_MAX = 0xffffffff;
const OK = new SimpleString('OK');

/** Where a request goes, and what it may do there. */
export interface Scope {
  readonly store: NodeStore;
  readonly namespace: Namespace;
  readonly mayWrite: boolean;
}

type Arguments = readonly Bulk[];
type Work = (scope: Scope, args: Arguments) => Promise<readonly RespValue[]>;

function wrong(detail: string): HoldfastError {
  return new HoldfastError('InvalidArgument', { detail });
}

function integer(bulk: Bulk | undefined, what: string, max: number): number {
  const text = bulk === undefined || bulk.length > 16 ? '' : bulk.toString();
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > max) throw wrong(`${what} has to be a number from 0 to ${max}`);
  return value;
}

function name(bulk: Bulk | undefined): Buffer {
  if (bulk?.length !== FRAGMENT_NAME_BYTES) throw wrong(`a name has ${FRAGMENT_NAME_BYTES} bytes`);
  return bulk.toBuffer();
}

function count(args: Arguments, least: number, most: number, verb: Verb): void {
  if (args.length >= least && args.length <= most) return;
  const range = least === most ? `${least}` : `${least} to ${most}`;
  throw wrong(`${verb} takes ${range} arguments, not ${args.length}`);
}

function writer([logId, term, start]: Arguments): Writer {
  return {
    logId: integer(logId, 'the log id', U16_MAX),
    term: integer(term, 'the term', U32_MAX),
    start: integer(start, 'the start', U32_MAX),
  };
}

function assertReadable({ namespace }: Scope): void {
  if (namespace.removed) throw new HoldfastError('NodeUnavailable', { detail: 'the namespace was removed' });
  if (namespace.settings.frozen)
    throw new HoldfastError('NodeUnavailable', { detail: 'the namespace is frozen' });
}

function assertWritable(scope: Scope): void {
  assertReadable(scope);
  const { locked } = scope.namespace.settings;
  if (locked) throw new HoldfastError('NodeFull', { detail: 'the namespace is locked' });
  if (!scope.mayWrite)
    throw new HoldfastError('AccessDenied', { detail: 'the namespace is read-only without its password' });
}

/** As `-CODE what is wrong`; undefined for what is no answer but a fault of ours. */
export function failureOf(error: unknown): RespFailure | undefined {
  return error instanceof HoldfastError ? new RespFailure(`${error.code} ${error.message}`) : undefined;
}

/** Names and values, one behind the other. */
export async function helloValues({ store, namespace }: Scope): Promise<RespValue[]> {
  const hello = await store.hello();
  const { maxBytes } = namespace.settings;
  const { entries, dataBytes } = namespace;
  const quotaLeft = maxBytes === 0 ? Number.POSITIVE_INFINITY : Math.max(0, maxBytes - dataBytes);
  const registers = namespace.registers.all().map(({ logId, term, start }) => `${logId}:${term}:${start}`);
  const fields: Record<string, string | number> = {
    protocol: `${PROTOCOL} ${PROTOCOL_VERSION}`,
    nodeUuid: hello.nodeUuid,
    durable: hello.durable ? 1 : 0,
    durableAppends: hello.durableAppends,
    fragmentCount: entries,
    usedBytes: dataBytes,
    capacityBytes: maxBytes === 0 ? hello.capacityBytes : Math.min(maxBytes, hello.capacityBytes),
    freeBytes: Math.min(hello.freeBytes, quotaLeft),
    filesystemId: hello.filesystemId,
    damagedRecords: hello.damagedRecords,
    valueBytesMax: STORED_FRAGMENT_BYTES_MAX,
    registers: registers.join(','),
  };
  return Object.entries(fields).flatMap(([key, value]) =>
    [key, String(value)].map((text) => Bulk.of(Buffer.from(text))),
  );
}

const put: Work = async (scope, args) => {
  assertWritable(scope);
  if (args.length < 5 || args.length % 2 === 0)
    throw wrong('PUT takes a token, then names and bytes in pairs');
  const { namespace } = scope;
  const leave = await namespace.registers.admit(writer(args));
  let release: () => void = () => undefined;
  try {
    const pairs = Array.from(
      { length: (args.length - 3) / 2 },
      (_, i) => [args[3 + 2 * i]!, args[4 + 2 * i]!] as const,
    );
    release = namespace.reserve(pairs.reduce((sum, [, stored]) => sum + stored.length, 0));
    const results = await Promise.all(
      pairs.map(async ([key, stored]): Promise<RespValue> => {
        try {
          await namespace.fragments.put(name(key), stored.pieces);
          return OK;
        } catch (error) {
          const answer = failureOf(error);
          if (answer === undefined) throw error;
          return answer;
        }
      }),
    );
    return [results];
  } finally {
    release();
    leave();
  }
};

const read: Work = async (scope, args) => {
  assertReadable(scope);
  count(args, 3, 3, 'READ');
  const offsetBytes = integer(args[1], 'the offset', STORED_FRAGMENT_BYTES_MAX);
  const lengthBytes = integer(args[2], 'the length', STORED_FRAGMENT_BYTES_MAX);
  const target = Buffer.allocUnsafeSlow(lengthBytes);
  await scope.namespace.fragments.read(name(args[0]), offsetBytes, target);
  return [Bulk.of(target)];
};

const length: Work = async (scope, args) => {
  assertReadable(scope);
  count(args, 1, 1, 'LENGTH');
  return [(await scope.namespace.fragments.length(name(args[0]))) ?? null];
};

const remove: Work = async (scope, args) => {
  assertWritable(scope);
  if (args.length < 3) throw wrong('DELETE takes a token and names');
  if (scope.namespace.settings.worm) {
    throw new HoldfastError('AccessDenied', { detail: 'nothing is deleted from a write-once namespace' });
  }
  const names = args.slice(3).map(name);
  const leave = await scope.namespace.registers.admit(writer(args));
  try {
    return [await scope.namespace.fragments.delete(names)];
  } finally {
    leave();
  }
};

const list: Work = async (scope, args) => {
  assertReadable(scope);
  count(args, 2, 2, 'LIST');
  const after = args[0]!.length === 0 ? undefined : name(args[0]);
  const limit = Math.max(1, integer(args[1], 'the limit', LIST_PAGE_MAX));
  const { fragments, next } = await scope.namespace.fragments.list(after, limit);
  const packed = Buffer.allocUnsafe(fragments.length * LIST_ENTRY_BYTES);
  for (const [i, { name: found, storedLengthBytes }] of fragments.entries()) {
    packed.set(found, i * LIST_ENTRY_BYTES);
    packed.writeUInt32BE(storedLengthBytes, i * LIST_ENTRY_BYTES + FRAGMENT_NAME_BYTES);
  }
  return [Bulk.of(packed), next === undefined ? 0 : 1];
};

const verify: Work = async (scope, args) => {
  assertReadable(scope);
  const verdicts: number[] = [];
  for (const each of args) {
    const verdict = await scope.namespace.fragments.verify(name(each));
    verdicts.push(verdict === 'intact' ? 1 : verdict === 'corrupt' ? 0 : -1);
  }
  return [verdicts];
};

const fence: Work = async (scope, args) => {
  assertWritable(scope);
  count(args, 3, 3, 'FENCE');
  await scope.namespace.registers.fence(writer(args));
  return [];
};

const hello: Work = async (scope) => {
  assertReadable(scope);
  return [await helloValues(scope)];
};

export const verbs: Readonly<Record<Verb, Work>> = {
  ...{
    HELLO: hello,
    PUT: put,
    READ: read,
    LENGTH: length,
    DELETE: remove,
    LIST: list,
    VERIFY: verify,
    FENCE: fence,
  },
};
