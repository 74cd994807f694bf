/** All nodes of the grid, whatever they are: which there are, giving out ids, and whom a command for one of them goes to. */
import { resolve } from 'node:path';
import type { NodeToAdd } from '../admin/report.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Committer } from '../commitlog/commit.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { prefixes, prefixRange } from '../metadata/keys.ts';
import { decodeRecord, type NodeRecord } from '../metadata/records.ts';
import type { Writer } from '../node/registers.ts';
import type { EmbeddedNodes, NodeFolders } from './embeddednodes.ts';
import { nodeAddressText, parseNodeAddress } from './nodeaddress.ts';
import type { NewRemoteNode, RemoteNodes } from './remotenodes.ts';

const NODES_MAX = 0xffff;

/** Gives out node ids, each once: those of nodes that are gone are not used again. */
export class NodeIds {
  #highest = 0;

  saw(id: number): void {
    this.#highest = Math.max(this.#highest, id);
  }

  next(): number {
    if (this.#highest >= NODES_MAX)
      throw new HoldfastError('InvalidArgument', { detail: 'all node ids have been given out' });
    this.#highest += 1;
    return this.#highest;
  }
}

export async function readNodeRecords(engine: MetadataEngine): Promise<Map<number, NodeRecord>> {
  const cursor = engine.cursor(prefixRange(prefixes.nodes()));
  try {
    const entries = await cursor.next(NODES_MAX + 1);
    return new Map(entries.map(([key, value]) => [key.readUInt16BE(1), decodeRecord<NodeRecord>(value)]));
  } finally {
    await cursor.close();
  }
}

export class GridNodes {
  readonly #engine: MetadataEngine;
  readonly #embedded: EmbeddedNodes;
  readonly #remote: RemoteNodes;
  readonly #ids: NodeIds;

  constructor(parts: {
    readonly engine: MetadataEngine;
    readonly embedded: EmbeddedNodes;
    readonly remote: RemoteNodes;
    readonly ids: NodeIds;
  }) {
    this.#engine = parts.engine;
    this.#embedded = parts.embedded;
    this.#remote = parts.remote;
    this.#ids = parts.ids;
  }

  set committer(committer: Committer) {
    this.#embedded.committer = committer;
    this.#remote.committer = committer;
  }

  set writer(writer: Writer) {
    this.#remote.writer = writer;
  }

  /** The highest term that a register on a node shows. */
  highestTerm(logId: number): number {
    return this.#remote.highestTerm(logId);
  }

  /** Opens what is recorded, and makes those of `folders` that have no record yet; their records are returned, to be committed first. */
  async open(folders: NodeFolders): Promise<ReadonlyMap<number, NodeRecord>> {
    const records = await readNodeRecords(this.#engine);
    for (const [id, record] of records) {
      this.#ids.saw(id);
      if (record.kind !== undefined && record.removed !== true) this.#remote.register(id, record);
    }
    const embedded = new Map([...records].filter(([, { kind }]) => kind === undefined));
    return this.#embedded.open(embedded, folders);
  }

  /** @throws InvalidArgument, NodeUnavailable, DataDirectoryInvalid, naming what is wrong */
  async add(node: NodeToAdd): Promise<{ readonly id: number; readonly address: string }> {
    const parsed = parseNodeAddress(node.address);
    if (parsed === undefined) {
      const id = await this.#embedded.add(resolve(node.address), node);
      return { id, address: resolve(node.address) };
    }
    if (node.farm === undefined) {
      throw new HoldfastError('InvalidArgument', {
        detail: 'a node of somebody else needs --farm: nodes of one farm are expected to fail together',
      });
    }
    const known = [...(await readNodeRecords(this.#engine)).values()];
    const { address: _, namespace = 'default', password = '', farm, ...others } = node;
    const wanted: NewRemoteNode = {
      ...{ ...parsed, namespace, farm, ...others },
      password: Buffer.from(password, 'latin1'),
    };
    const { id, record } = await this.#remote.add(wanted, known, () => this.#ids.next());
    return { id, address: nodeAddressText(record)! };
  }

  /** Gives a node up for good; the data that it had is rebuilt from the others. */
  async remove(id: number): Promise<void> {
    if (this.#remote.has(id)) await this.#remote.remove(id);
    else await this.#embedded.remove(id);
  }

  stop(id: number): Promise<void> {
    this.#assertEmbedded(id);
    return this.#embedded.stop(id);
  }

  start(id: number): Promise<void> {
    this.#assertEmbedded(id);
    return this.#embedded.start(id);
  }

  replace(id: number, path: string | undefined): Promise<{ id: number; path: string }> {
    this.#assertEmbedded(id);
    return this.#embedded.replace(id, path);
  }

  declareLost(id: number): Promise<void> {
    return this.#remote.has(id) ? this.#remote.declareLost(id) : this.#embedded.declareLost(id);
  }

  async look(): Promise<void> {
    await Promise.all([this.#embedded.look(), this.#remote.look()]);
  }

  /** Where a node is, for people. */
  placeOf(record: NodeRecord): string {
    return nodeAddressText(record) ?? this.#embedded.absolute(record.path);
  }

  /** Why a node is not online, as far as it is known here; empty otherwise. */
  problem(id: number): string {
    return this.#remote.has(id) ? '' : this.#embedded.problem(id);
  }

  async close(): Promise<void> {
    await Promise.all([this.#embedded.close(), this.#remote.close()]);
  }

  #assertEmbedded(id: number): void {
    if (!this.#remote.has(id)) return;
    throw new HoldfastError('InvalidArgument', {
      detail: `node ${id} is a process of its own: it is stopped and started where it runs; "nodes remove" and "nodes add" replace it`,
    });
  }
}
