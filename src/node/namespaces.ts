/** The namespaces of an open node: which there are, making and removing them. An id is given out once. */
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { DEFAULT_NAMESPACE, NAMESPACE_LIMIT } from './address.ts';
import type { NodeCore } from './core.ts';
import type { Guard } from './guard.ts';
import { Namespace, type NamespaceParts, type NamespaceSettings, type StoredState } from './namespace.ts';
import type { StoredRegister, Writer } from './registers.ts';
import { type SystemRecord, SystemRecords } from './systemrecords.ts';

export const NAMESPACE_NAME_BYTES_MAX = 128;
const DEFAULT_NAME = Buffer.from('default');

interface StoredNamespace extends Omit<NamespaceSettings, 'name' | 'password'> {
  readonly name: string;
  readonly password: string;
  readonly removed: boolean;
}

function newState(name: Uint8Array): StoredState {
  const settings: NamespaceSettings = {
    name: Buffer.from(name),
    mode: 'user',
    password: Buffer.alloc(0),
    isPublic: true,
    worm: false,
    locked: false,
    frozen: false,
    maxBytes: 0,
  };
  return { settings, version: 0, nextId: 0n, idsVersion: 0, registers: [] };
}

function registerIn(namespace: number, key: string, { value, version }: SystemRecord): StoredRegister[] {
  return key.startsWith(`register/${namespace}/`) ? [{ writer: value as Writer, version }] : [];
}

function withIds(state: StoredState, ids: SystemRecord | undefined): StoredState {
  return ids === undefined
    ? state
    : { ...state, nextId: BigInt(ids.value as string), idsVersion: ids.version };
}

export class Namespaces {
  readonly system: SystemRecords;
  readonly #parts: NamespaceParts;
  readonly #byName = new Map<string, Namespace>();
  #nextNamespace = DEFAULT_NAMESPACE + 1;
  #creating: Promise<unknown> = Promise.resolve();

  private constructor(parts: NamespaceParts) {
    this.#parts = parts;
    this.system = parts.system;
  }

  /** Reads the settings, and drops what removed namespaces have left. @throws NodeUnavailable when settings cannot be read */
  static async open(core: NodeCore, guard: Guard, clock: Clock): Promise<Namespaces> {
    const system = new SystemRecords(core, guard);
    const namespaces = new Namespaces({ core, guard, clock, system });
    const records = await system.readAll();
    const registersOf = (id: number) => [...records].flatMap(([key, record]) => registerIn(id, key, record));
    for (const [key, record] of records) {
      const [kind, text] = key.split('/');
      const id = Number(text);
      if (kind === 'namespace') namespaces.#load(id, record, records.get(`ids/${id}`), registersOf(id));
    }
    if (!namespaces.#byName.has(DEFAULT_NAME.toString('hex'))) {
      namespaces.#add(
        DEFAULT_NAMESPACE,
        withIds(
          { ...newState(DEFAULT_NAME), registers: registersOf(DEFAULT_NAMESPACE) },
          records.get(`ids/${DEFAULT_NAMESPACE}`),
        ),
      );
    }
    return namespaces;
  }

  /** The one that is always there. */
  get default(): Namespace {
    return this.get(DEFAULT_NAME)!;
  }

  get(name: Uint8Array): Namespace | undefined {
    return this.#byName.get(Buffer.from(name).toString('hex'));
  }

  /** In the order in which they were made. */
  list(): readonly Namespace[] {
    return [...this.#byName.values()].sort((a, b) => a.id - b.id);
  }

  /** @throws InvalidArgument when the name is in use or no name, or no ids are left */
  create(name: Uint8Array, changes: Partial<NamespaceSettings> = {}): Promise<Namespace> {
    const done = this.#creating.then(() => this.#create(name, changes));
    this.#creating = done.catch(() => undefined);
    return done;
  }

  async remove(namespace: Namespace): Promise<void> {
    if (namespace.id === DEFAULT_NAMESPACE) {
      throw new HoldfastError('InvalidArgument', { detail: 'the namespace "default" cannot be removed' });
    }
    await namespace.remove();
    this.#byName.delete(namespace.settings.name.toString('hex'));
  }

  /** Before the node is closed. */
  async settle(): Promise<void> {
    await this.#creating;
    await Promise.all(this.list().map((namespace) => namespace.settle()));
  }

  async #create(name: Uint8Array, changes: Partial<NamespaceSettings>): Promise<Namespace> {
    const refuse = (detail: string): never => {
      throw new HoldfastError('InvalidArgument', { detail });
    };
    if (name.length === 0 || name.length > NAMESPACE_NAME_BYTES_MAX) {
      refuse(`a namespace's name has 1 to ${NAMESPACE_NAME_BYTES_MAX} bytes, not ${name.length}`);
    }
    if (this.get(name) !== undefined) refuse(`the namespace "${Buffer.from(name)}" is there already`);
    if (this.#nextNamespace >= NAMESPACE_LIMIT)
      refuse(`this node has given out all ${NAMESPACE_LIMIT} namespaces`);
    const namespace = new Namespace(this.#parts, this.#nextNamespace++, newState(name));
    await namespace.change(changes);
    this.#byName.set(namespace.settings.name.toString('hex'), namespace);
    return namespace;
  }

  #load(
    id: number,
    { value, version }: SystemRecord,
    ids: SystemRecord | undefined,
    registers: readonly StoredRegister[],
  ): void {
    const { name, password, removed, ...others } = value as StoredNamespace;
    this.#nextNamespace = Math.max(this.#nextNamespace, id + 1);
    if (removed) {
      this.#parts.core.dropNamespace(id);
      return;
    }
    const settings = { ...others, name: Buffer.from(name, 'hex'), password: Buffer.from(password, 'hex') };
    this.#add(id, withIds({ settings, version, nextId: 0n, idsVersion: 0, registers }, ids));
  }

  #add(id: number, state: StoredState): void {
    this.#byName.set(state.settings.name.toString('hex'), new Namespace(this.#parts, id, state));
  }
}
