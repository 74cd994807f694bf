/** Commands for namespaces, most of them an administrator's. */
import { Bulk, RespFailure } from '../../base/resp/values.ts';
import { KIB, MIB } from '../../base/units.ts';
import type { Namespace, NamespaceSettings } from '../namespace.ts';
import { NAMESPACE_NAME_BYTES_MAX } from '../namespaces.ts';
import {
  type Command,
  failure,
  ok,
  permissionDenied,
  unexpectedArguments,
  type ZdbContext,
} from './context.ts';

const PROPERTY_BYTES_MAX = 63;
const notFound = failure('Namespace not found');

export const nsnew: Command = async ({ store }, { isAdmin }, args) => {
  if (args.length !== 1) return unexpectedArguments;
  if (!isAdmin) return permissionDenied;
  const name = args[0]!.toBuffer();
  if (name.length > NAMESPACE_NAME_BYTES_MAX) return failure('Namespace too long');
  if (name.length === 0 || name.equals(store.namespaces.default.settings.name)) {
    return failure('This name is not allowed');
  }
  if (store.namespaces.get(name) !== undefined) return failure('This namespace is not available');
  await store.namespaces.create(name);
  return ok;
};

export const nsdel: Command = async ({ store }, { isAdmin }, args) => {
  if (args.length !== 1) return unexpectedArguments;
  if (!isAdmin) return permissionDenied;
  const namespace = store.namespaces.get(args[0]!.toBuffer());
  if (namespace === undefined) return failure("This namespace doesn't exists");
  if (namespace === store.namespaces.default) return failure('Cannot remove default namespace');
  await store.namespaces.remove(namespace);
  return ok;
};

export const nsset: Command = async ({ store }, { isAdmin }, args) => {
  if (args.length !== 3) return unexpectedArguments;
  if (!isAdmin) return permissionDenied;
  const namespace = store.namespaces.get(args[0]!.toBuffer());
  if (namespace === undefined) return notFound;
  if (args[2]!.length > PROPERTY_BYTES_MAX) return failure('Argument too long');
  const changes = changesFor(namespace, args[1]!.toString().toLowerCase(), args[2]!.toBuffer());
  if (changes instanceof RespFailure) return changes;
  await namespace.change(changes);
  return ok;
};

function changesFor(
  namespace: Namespace,
  property: string,
  value: Buffer,
): Partial<NamespaceSettings> | RespFailure {
  const text = value.toString('latin1');
  const flag = text === '1';
  switch (property) {
    case 'maxsize': {
      const maxBytes = Number(text);
      return /^\d+$/.test(text) && Number.isSafeInteger(maxBytes)
        ? { maxBytes }
        : failure('Invalid argument');
    }
    case 'password':
      return { password: text === '*' ? Buffer.alloc(0) : Buffer.from(value) };
    case 'public':
      return { isPublic: flag };
    case 'worm':
      return { worm: flag };
    case 'lock':
      return { locked: flag };
    case 'freeze':
      return { frozen: flag };
    case 'mode':
      if (text !== 'user' && text !== 'seq') return failure('Invalid argument');
      if (namespace.entries > 0 || namespace.nextId > 0n)
        return failure('Cannot change mode of used namespace');
      return { mode: text === 'seq' ? 'sequential' : 'user' };
    default:
      return failure('Invalid property');
  }
}

export const nslist: Command = ({ store }) =>
  store.namespaces.list().map(({ settings }) => Bulk.of(settings.name));

export const dbsize: Command = (_, { namespace }) => namespace.entries;

export const nsinfo: Command = async (context, { isAdmin }, args) => {
  if (args.length !== 1) return unexpectedArguments;
  const namespace = context.store.namespaces.get(args[0]!.toBuffer());
  if (namespace === undefined) return notFound;
  const lines = await infoLines(context, namespace);
  if (isAdmin) lines.push(...(await placeLines(context)));
  return Bulk.of(
    Buffer.from(`# namespace\n${lines.map(([key, value]) => `${key}: ${value}\n`).join('')}`, 'latin1'),
  );
};

const yesNo = (value: boolean) => (value ? 'yes' : 'no');
const inMiB = (bytes: number) => (bytes / MIB).toFixed(2);
const inKiB = (bytes: number) => (bytes / KIB).toFixed(2);

/** Keys and order of 0-db 2.0.7. */
async function infoLines(
  { store }: ZdbContext,
  namespace: Namespace,
): Promise<[string, string | number | bigint][]> {
  const { settings, entries, dataBytes, indexBytes, nextId } = namespace;
  const { freeBytes, damagedRecords } = await store.hello();
  const counters = (kind: string): [string, string | number][] => [
    [`stats_${kind}_io_errors`, kind === 'data' ? damagedRecords : 0],
    [`stats_${kind}_io_error_last`, 0],
    [`stats_${kind}_faults`, kind === 'data' ? damagedRecords : 0],
  ];
  return [
    ['name', settings.name.toString('latin1')],
    ['entries', entries],
    ['public', yesNo(settings.isPublic)],
    ['worm', yesNo(settings.worm)],
    ['locked', yesNo(settings.locked || settings.frozen)],
    ['password', yesNo(settings.password.length > 0)],
    ['data_size_bytes', dataBytes],
    ['data_size_mb', inMiB(dataBytes)],
    ['data_limits_bytes', settings.maxBytes],
    ['index_size_bytes', indexBytes],
    ['index_size_kb', inKiB(indexBytes)],
    ['next_internal_id', `0x${nextId.toString(16).padStart(8, '0')}`],
    ['mode', settings.mode === 'user' ? 'userkey' : 'sequential'],
    ...counters('index'),
    ...counters('data'),
    ['index_disk_freespace_bytes', freeBytes],
    ['index_disk_freespace_mb', inMiB(freeBytes)],
    ['data_disk_freespace_bytes', freeBytes],
    ['data_disk_freespace_mb', inMiB(freeBytes)],
  ];
}

async function placeLines({ store }: ZdbContext): Promise<[string, string | number][]> {
  const { directory } = store;
  const { segment, offset } = store.appendPosition;
  return [
    ['data_path', directory],
    ['data_active', `${directory}/${segment}`],
    ['index_path', directory],
    ['index_active', `${directory}/${segment}`],
    ['data_current_id', segment],
    ['data_current_offset', offset],
  ];
}

/** It answers as 0-db does, and changes nothing: observed at 0-db 2.0.7, values are there afterwards. */
export const flush: Command = (_, { namespace, mayWrite }) => {
  const { isPublic, password } = namespace.settings;
  if (isPublic || password.length === 0) return failure('Flushing public namespace denied');
  return mayWrite ? ok : permissionDenied;
};

/** Settings are always those on the disk. */
export const reload: Command = ({ store }, { isAdmin }, args) => {
  if (args.length !== 1) return unexpectedArguments;
  if (!isAdmin) return permissionDenied;
  return store.namespaces.get(args[0]!.toBuffer()) === undefined ? notFound : ok;
};
