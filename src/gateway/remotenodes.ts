/**
 * The nodes that are daemons of their own, or rented 0-db namespaces: adding them while clients go on working, and taking back those that were
 * given up for their silence and answer again. What they are is in their records; passwords are sealed there.
 */
import type { SecureContext } from 'node:tls';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { parseFingerprint } from '../base/tls/fingerprint.ts';
import { tlsIdentity } from '../base/tls/identity.ts';
import { parseJoinToken } from '../base/tls/jointoken.ts';
import { clientContext } from '../base/tls/options.ts';
import type { Committer } from '../commitlog/commit.ts';
import { nodePasswordContext } from '../crypto/context.ts';
import type { GridKeys } from '../crypto/gridkeys.ts';
import { open, seal } from '../crypto/seal.ts';
import type { GridRegistry } from '../grid/registry.ts';
import { connectNode, connectSecurely, joinNode } from '../grid/remote/connect.ts';
import type { RemoteStore } from '../grid/remote/target.ts';
import { keys } from '../metadata/keys.ts';
import { encodeRecord, type NodeAddress, type NodeRecord, RECORD_FORMAT } from '../metadata/records.ts';
import { namespaceOfGrid } from '../node/pins.ts';
import type { Writer } from '../node/registers.ts';
import { nodeAddressText, type ParsedAddress } from './nodeaddress.ts';

export interface RemoteNodesParts {
  readonly gridKeys: GridKeys;
  /** Of the gateway's ML-DSA-87 identity. */
  readonly identitySeed: Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: GridRegistry;
  readonly log: Logger;
}

export interface NewRemoteNode extends ParsedAddress {
  readonly namespace: string;
  /** Empty: none. */
  readonly password: Buffer;
  readonly farm: string;
  readonly site?: string;
  readonly country?: string;
  readonly weight?: number;
  readonly acceptNonDurable?: boolean;
  /** Over TLS, one of the two. */
  readonly join?: string;
  readonly fingerprint?: string;
}

interface Entry {
  readonly id: number;
  readonly store: RemoteStore;
  record: NodeRecord;
}

export class RemoteNodes {
  readonly #parts: RemoteNodesParts;
  readonly #context: SecureContext;
  readonly #entries = new Map<number, Entry>();
  #committer: Committer | undefined;
  #writer: Writer | undefined;

  private constructor(parts: RemoteNodesParts, context: SecureContext) {
    this.#parts = parts;
    this.#context = context;
  }

  static async create(parts: RemoteNodesParts): Promise<RemoteNodes> {
    return new RemoteNodes(parts, clientContext(await tlsIdentity(parts.identitySeed)));
  }

  set committer(committer: Committer) {
    this.#committer = committer;
  }

  /** In whose name nodes are written to from now on. */
  set writer(writer: Writer) {
    this.#writer = writer;
    for (const { store } of this.#entries.values()) store.useWriter(writer);
  }

  /** The highest term that any of the nodes has seen in a log; 0 when none has. */
  highestTerm(logId: number): number {
    const writers = [...this.#entries.values()].flatMap(({ store }) => store.registers);
    return Math.max(0, ...writers.filter((writer) => writer.logId === logId).map(({ term }) => term));
  }

  has(id: number): boolean {
    return this.#entries.has(id);
  }

  register(id: number, record: NodeRecord): void {
    const store = this.#connect(record);
    this.#entries.set(id, { id, record, store });
    this.#parts.registry.add(id, record, store);
  }

  /**
   * Greets the node, writes down what it is, and uses it.
   * @throws NodeUnavailable when it does not answer; InvalidArgument when it is in the grid already or not fit for it
   */
  async add(
    node: NewRemoteNode,
    known: readonly NodeRecord[],
    nextId: () => number,
  ): Promise<{ readonly id: number; readonly record: NodeRecord }> {
    const { kind, password, farm, site, country, weight } = node;
    const unsealed = await this.#meet(node);
    const trial = this.#connectTo(kind, unsealed, password);
    try {
      const { nodeUuid, durable } = await trial.hello();
      const twin = known.find((record) => record.nodeUuid === nodeUuid && record.state !== 'lost');
      if (twin !== undefined) {
        throw new HoldfastError('InvalidArgument', {
          detail: `the grid has this node already (${nodeAddressText(twin) ?? twin.path})`,
        });
      }
      if (!durable && node.acceptNonDurable !== true) {
        throw new HoldfastError('InvalidArgument', {
          detail: `${nodeAddressText({ kind, address: unsealed } as NodeRecord)} answers before its data is on stable storage; --accept-non-durable takes it all the same, and weakens what an answer of this grid means`,
        });
      }
      const record: NodeRecord = {
        ...{ v: RECORD_FORMAT, kind, nodeUuid, path: '', onDataFilesystem: false },
        ...{ farm, state: 'active', addedMs: this.#parts.clock.nowMs() },
        address: password.length === 0 ? unsealed : { ...unsealed, secret: this.#sealed(nodeUuid, password) },
        ...(site === undefined ? {} : { site }),
        ...(country === undefined ? {} : { country }),
        ...(weight === undefined ? {} : { weight }),
        ...(node.acceptNonDurable === true ? { acceptNonDurable: true } : {}),
      };
      const id = nextId();
      await this.#committer?.commit([{ type: 'put', key: keys.node(id), value: encodeRecord(record) }]);
      this.register(id, record);
      await this.#parts.registry.probe(id);
      return { id, record };
    } finally {
      await trial.close();
    }
  }

  /** Where a node is, and over TLS who it is: it learns to know us, if it does not yet. */
  async #meet(node: NewRemoteNode): Promise<NodeAddress> {
    const { transport, host, port, namespace, join, fingerprint } = node;
    const refuse = (detail: string): never => {
      throw new HoldfastError('InvalidArgument', { detail });
    };
    if (transport !== 'tls') {
      if (join !== undefined || fingerprint !== undefined)
        refuse('--join and --fingerprint are for tls:// nodes');
      return { transport, host, port, namespace };
    }
    if ((join === undefined) === (fingerprint === undefined)) {
      refuse(
        'a tls:// node needs --join with the token that it printed, or --fingerprint when it knows this gateway already',
      );
    }
    if (namespace !== 'default' || node.password.length > 0) {
      refuse(
        'a tls:// node has a namespace for this grid already: --namespace and --password-file are not for it',
      );
    }
    const { gridKeys, clock, random } = this.#parts;
    const pin = join === undefined ? parseFingerprint(fingerprint!) : parseJoinToken(join).fingerprint;
    const to = { host, port, fingerprint: pin, context: this.#context };
    const name =
      join === undefined
        ? namespaceOfGrid(gridKeys.gridId)
        : await joinNode(to, join, gridKeys.gridId, { clock, random });
    return { transport, host, port, namespace: name, fingerprint: pin };
  }

  /** Takes back nodes that were given up for their silence and answer again with their data. */
  async look(): Promise<void> {
    for (const entry of this.#entries.values()) {
      const { record, store, id } = entry;
      if (record.state !== 'lost' || record.replacedBy !== undefined || record.removed === true) continue;
      const hello = await store.hello().catch(() => undefined);
      if (hello?.nodeUuid !== record.nodeUuid) continue;
      await this.#save(entry, { ...record, state: 'active' });
      await this.#parts.registry.probe(id);
      this.#parts.log.warn({ node: id }, 'a node that was declared lost is back with its data');
    }
  }

  async declareLost(id: number): Promise<void> {
    const entry = this.#entry(id);
    await this.#save(entry, { ...entry.record, state: 'lost' });
  }

  /** For good: it is not taken back, and its id is not given out again. */
  async remove(id: number): Promise<void> {
    const entry = this.#entry(id);
    await this.#save(entry, { ...entry.record, state: 'lost', removed: true });
    await entry.store.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ store }) => store.close()));
  }

  async #save(entry: Entry, record: NodeRecord): Promise<void> {
    await this.#committer?.commit([{ type: 'put', key: keys.node(entry.id), value: encodeRecord(record) }]);
    entry.record = record;
    this.#parts.registry.update(entry.id, record);
  }

  #entry(id: number): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      throw new HoldfastError('InvalidArgument', {
        detail: `there is no node ${id}; holdfast nodes list shows them`,
      });
    }
    return entry;
  }

  #connect({ kind, nodeUuid, address }: NodeRecord): RemoteStore {
    if (address === undefined || kind === undefined) throw new RangeError('the node has no address');
    const { secret } = address;
    const password = secret === undefined ? Buffer.alloc(0) : this.#opened(nodeUuid, secret);
    return this.#connectTo(kind, address, password);
  }

  #connectTo(
    kind: 'holdfast' | 'zdb',
    { host, port, namespace, fingerprint }: NodeAddress,
    password: Buffer,
  ): RemoteStore {
    const { clock, random } = this.#parts;
    const seams = { clock, random };
    const store =
      fingerprint === undefined
        ? connectNode({ kind, host, port, namespace, password }, seams)
        : connectSecurely({ host, port, fingerprint, context: this.#context }, namespace, seams);
    if (this.#writer !== undefined) store.useWriter(this.#writer);
    return store;
  }

  #sealed(nodeUuid: string, password: Buffer): Buffer {
    const { gridKeys, random } = this.#parts;
    return seal(gridKeys.credentials, nodePasswordContext(gridKeys.gridId, nodeUuid), password, random);
  }

  #opened(nodeUuid: string, secret: Buffer): Buffer {
    const { gridKeys } = this.#parts;
    return open(gridKeys.credentials, nodePasswordContext(gridKeys.gridId, nodeUuid), secret);
  }
}
