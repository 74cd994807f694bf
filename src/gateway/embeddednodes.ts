/**
 * The nodes that live in this process: which there are (records in the metadata), opening and closing them, and noticing when a directory
 * goes away. An empty or foreign directory is offline, never lost; only one that lies on the data directory's own file system is made
 * anew at once, since no disk can have come unmounted there (design/commits.md, "Nodes").
 */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { MIB } from '../base/units.ts';
import type { Committer } from '../commitlog/commit.ts';
import type { GridRegistry } from '../grid/registry.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys, prefixes, prefixRange } from '../metadata/keys.ts';
import { decodeRecord, encodeRecord, type NodeRecord, RECORD_FORMAT } from '../metadata/records.ts';
import type { Disk } from '../node/disk.ts';
import { EmbeddedNode } from '../node/embedded.ts';

const NODES_MAX = 0xffff;
const COMPACTION_BYTES_PER_STEP = 16 * MIB;

export interface EmbeddedNodesParts {
  readonly dataDirectory: string;
  readonly engine: MetadataEngine;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: GridRegistry;
  readonly log: Logger;
  readonly capacityBytes: number | undefined;
}

export class EmbeddedNodes {
  readonly #parts: EmbeddedNodesParts;
  readonly #nodes = new Map<number, { node: EmbeddedNode; record: NodeRecord; stopped: boolean }>();
  #committer: Committer | undefined;

  constructor(parts: EmbeddedNodesParts) {
    this.#parts = parts;
  }

  /** Records change through it; there is none while the nodes are opened for the first inventory. */
  set committer(committer: Committer) {
    this.#committer = committer;
  }

  /**
   * Opens the recorded nodes, and makes those of `folders` that have no record yet. Returns the records that are to be committed before
   * anything is written.
   */
  async open(folders: readonly string[]): Promise<ReadonlyMap<number, NodeRecord>> {
    const recorded = await this.#readRecords();
    for (const [id, record] of recorded) await this.#openRecorded(id, record);
    const known = new Set(
      [...recorded.values()].filter(({ state }) => state !== 'lost').map(({ path }) => this.absolute(path)),
    );
    const added = new Map<number, NodeRecord>();
    let next = Math.max(0, ...recorded.keys()) + 1;
    for (const folder of folders) {
      if (known.has(resolve(folder))) continue;
      const record = await this.#make(folder);
      added.set(next, record);
      this.#register(next, record, this.#embedded(record));
      await this.#nodes.get(next)?.node.start();
      next += 1;
    }
    await this.#parts.registry.probeAll();
    return added;
  }

  /** Highest id given out, for the next one. */
  #nextId(): number {
    const next = Math.max(0, ...this.#nodes.keys()) + 1;
    if (next > NODES_MAX)
      throw new HoldfastError('InvalidArgument', { detail: 'all node ids have been given out' });
    return next;
  }

  async #readRecords(): Promise<Map<number, NodeRecord>> {
    const cursor = this.#parts.engine.cursor(prefixRange(prefixes.nodes()));
    try {
      const entries = await cursor.next(NODES_MAX + 1);
      return new Map(entries.map(([key, value]) => [key.readUInt16BE(1), decodeRecord<NodeRecord>(value)]));
    } finally {
      await cursor.close();
    }
  }

  async #openRecorded(id: number, record: NodeRecord): Promise<void> {
    const node = this.#embedded(record);
    this.#register(id, record, node);
    if (record.state === 'lost') return;
    try {
      await this.#start(node, record);
    } catch (error) {
      this.#parts.log.warn(
        { node: id, path: this.absolute(record.path), err: error },
        'node cannot be opened',
      );
    }
  }

  /** Opens the directory and makes sure that it is this node's. */
  async #start(node: EmbeddedNode, record: NodeRecord): Promise<void> {
    await node.start();
    const { nodeUuid } = await node.hello();
    if (nodeUuid === record.nodeUuid) return;
    await node.stop();
    throw new HoldfastError('NodeUnavailable', {
      detail: `${this.absolute(record.path)} holds another node (${nodeUuid} instead of ${record.nodeUuid})`,
    });
  }

  #register(id: number, record: NodeRecord, node: EmbeddedNode): void {
    this.#nodes.set(id, { node, record, stopped: false });
    this.#parts.registry.add(id, record, node);
  }

  #embedded(record: NodeRecord): EmbeddedNode {
    const { disk, clock, random, capacityBytes } = this.#parts;
    const directory = this.absolute(record.path);
    const sharers = () => this.#sharersOf(directory);
    return new EmbeddedNode({
      disk,
      directory,
      clock,
      random,
      sharers,
      ...(capacityBytes === undefined ? {} : { capacityBytes }),
    });
  }

  /** How many running nodes keep their data on the file system of this directory. */
  #sharersOf(directory: string): number {
    const nodes = this.#parts.registry.nodes();
    const own = nodes.find((node) => this.absolute(node.record.path) === directory)?.hello?.filesystemId;
    const sharers = nodes.filter(
      (node) => node.record.state !== 'lost' && (own === undefined || node.hello?.filesystemId === own),
    );
    return Math.max(1, sharers.length);
  }

  /** Makes a node in a folder that is missing or empty, or adopts one there that never got its record. */
  async #make(folder: string): Promise<NodeRecord> {
    const path = this.#recordPath(folder);
    const { disk, clock, random } = this.#parts;
    const node = new EmbeddedNode({ disk, directory: resolve(folder), clock, random });
    try {
      await mkdir(dirname(resolve(folder)), { recursive: true, mode: 0o700 });
      await node.start(true);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HoldfastError('DataDirectoryInvalid', { detail: `node folder ${folder}: ${why}`, cause });
    }
    const { nodeUuid, fragmentCount } = await node.hello();
    await node.stop();
    if (fragmentCount > 0) {
      throw new HoldfastError('DataDirectoryInvalid', {
        detail: `node folder ${folder} holds ${fragmentCount} fragments of a node that this grid does not know`,
      });
    }
    return {
      v: RECORD_FORMAT,
      nodeUuid,
      path,
      onDataFilesystem: await this.#isOnDataFilesystem(resolve(folder)),
      farm: nodeUuid,
      state: 'active',
      addedMs: clock.nowMs(),
    };
  }

  #recordPath(folder: string): string {
    const below = relative(this.#parts.dataDirectory, resolve(folder));
    return below.startsWith('..') || isAbsolute(below) ? resolve(folder) : below;
  }

  absolute(path: string): string {
    return isAbsolute(path) ? path : join(this.#parts.dataDirectory, path);
  }

  /** By the device of the directory, or of the nearest parent that is there. */
  async #isOnDataFilesystem(directory: string): Promise<boolean> {
    const data = await stat(this.#parts.dataDirectory);
    for (let at = directory; ; at = dirname(at)) {
      const found = await stat(at).catch(() => undefined);
      if (found !== undefined) return found.dev === data.dev;
      if (at === dirname(at)) return false;
    }
  }

  /**
   * Looks at every node: notices directories that went away, makes those anew that may be, reopens those that came back, and compacts a
   * little. Called every second or so.
   */
  async look(): Promise<void> {
    for (const [id, entry] of this.#nodes) {
      if (entry.stopped || entry.record.state === 'lost') continue;
      try {
        if (!entry.node.running) await this.#start(entry.node, entry.record);
        await entry.node.checkDirectory();
        await entry.node.compactStep(COMPACTION_BYTES_PER_STEP);
      } catch (error) {
        if (hasCode(error, 'NodeUnavailable')) await this.#reopen(id);
      }
    }
    await this.#parts.registry.probeAll();
  }

  /** The directory is not there or is not this node's: makes it anew where that is safe, else leaves the node offline. */
  async #reopen(id: number): Promise<void> {
    const entry = this.#nodes.get(id);
    if (entry === undefined) return;
    const directory = this.absolute(entry.record.path);
    await entry.node.stop();
    const mayRemake = entry.record.onDataFilesystem && (await this.#isOnDataFilesystem(directory));
    if (!mayRemake || (await stat(join(directory, 'node.json')).catch(() => undefined)) !== undefined) return;
    try {
      await entry.node.start(true);
    } catch (error) {
      this.#parts.log.warn({ node: id, path: directory, err: error }, 'node directory is gone');
      return;
    }
    const { nodeUuid } = await entry.node.hello();
    await this.#saveRecord(id, { ...entry.record, nodeUuid });
    this.#parts.log.warn(
      { node: id, path: directory },
      'node directory was gone; it was made anew and is being filled',
    );
    await this.#parts.registry.probe(id);
  }

  async #saveRecord(id: number, record: NodeRecord): Promise<void> {
    const entry = this.#nodes.get(id);
    await this.#committer?.commit([{ type: 'put', key: keys.node(id), value: encodeRecord(record) }]);
    if (entry !== undefined) entry.record = record;
    this.#parts.registry.update(id, record);
  }

  #entry(id: number) {
    const entry = this.#nodes.get(id);
    if (entry === undefined || entry.record.state === 'lost') {
      throw new HoldfastError('InvalidArgument', {
        detail: `there is no node ${id}; holdfast nodes list shows them`,
      });
    }
    return entry;
  }

  async stop(id: number): Promise<void> {
    const entry = this.#entry(id);
    entry.stopped = true;
    await entry.node.stop();
    await this.#parts.registry.probe(id);
  }

  async start(id: number): Promise<void> {
    const entry = this.#entry(id);
    await this.#start(entry.node, entry.record);
    entry.stopped = false;
    await this.#parts.registry.probe(id);
  }

  /** The node is given up: its record says so, and it is closed. */
  async declareLost(id: number): Promise<void> {
    const entry = this.#entry(id);
    await entry.node.stop();
    await this.#saveRecord(id, { ...entry.record, state: 'lost' });
  }

  /** Gives a node up and puts an empty one in its place. */
  async replace(id: number, path: string | undefined): Promise<{ id: number; path: string }> {
    const entry = this.#entry(id);
    const folder = path ?? this.absolute(entry.record.path);
    const inUse = [...this.#nodes].find(
      ([, other]) => this.absolute(other.record.path) === folder && other.record.state !== 'lost',
    );
    if (inUse !== undefined && inUse[0] !== id) {
      throw new HoldfastError('InvalidArgument', { detail: `${folder} is the folder of node ${inUse[0]}` });
    }
    if ((await stat(join(folder, 'node.json')).catch(() => undefined)) !== undefined) {
      throw new HoldfastError('InvalidArgument', {
        detail: `${folder} still holds a node's data; move it away, or name another folder with --path`,
      });
    }
    await entry.node.stop();
    const record = await this.#make(folder);
    const newId = this.#nextId();
    const node = this.#embedded(record);
    await this.#committer?.commit([
      { type: 'put', key: keys.node(id), value: encodeRecord({ ...entry.record, state: 'lost' }) },
      { type: 'put', key: keys.node(newId), value: encodeRecord(record) },
    ]);
    entry.record = { ...entry.record, state: 'lost' };
    this.#parts.registry.update(id, entry.record);
    this.#register(newId, record, node);
    await node.start();
    await this.#parts.registry.probe(newId);
    return { id: newId, path: folder };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map(({ node }) => node.stop()));
  }
}
