/**
 * The nodes of a simulated gateway, as src/gateway/embeddednodes.ts keeps them (which looks at the real file system and so cannot be
 * used here): records in the metadata, opened at start, watched, made anew when their directory went away. A record's path is the
 * name of a simulated disk.
 */
import { hasCode } from '../../src/base/errors.ts';
import type { Committer } from '../../src/commitlog/commit.ts';
import { assertOwnFolder } from '../../src/gateway/nodefolders.ts';
import type { GridRegistry } from '../../src/grid/registry.ts';
import type { MetadataEngine } from '../../src/metadata/engine.ts';
import { keys, prefixes, prefixRange } from '../../src/metadata/keys.ts';
import { decodeRecord, encodeRecord, type NodeRecord, RECORD_FORMAT } from '../../src/metadata/records.ts';
import { EmbeddedNode } from '../../src/node/embedded.ts';
import { identityPath } from '../../src/node/identity.ts';
import type { SimulatedClock } from './clock.ts';
import { type Machine, NODE_DIRECTORY } from './machine.ts';
import type { Prng } from './prng.ts';

const COMPACTION_BYTES_PER_STEP = 4 * 1024 * 1024;
/** Small, so that segments fill, are compacted and go within a run. */
const SEGMENT_BYTES_MAX = 1024 * 1024;
const LOOK_MS_MAX = 2000;

interface Entry {
  readonly node: EmbeddedNode;
  record: NodeRecord;
  stopped: boolean;
  failed: boolean;
  looking: Promise<void> | undefined;
}

export class SimulatedNodes {
  readonly entries = new Map<number, Entry>();
  committer: Committer | undefined;
  readonly #parts: {
    readonly machine: Machine;
    readonly engine: MetadataEngine;
    readonly clock: SimulatedClock;
    readonly random: Prng;
    readonly registry: GridRegistry;
  };

  constructor(parts: {
    readonly machine: Machine;
    readonly engine: MetadataEngine;
    readonly clock: SimulatedClock;
    readonly random: Prng;
    readonly registry: GridRegistry;
  }) {
    this.#parts = parts;
  }

  /** Opens what is recorded and makes the rest. Returns records that are to be committed before anything is written. */
  async open(): Promise<ReadonlyMap<number, NodeRecord>> {
    const recorded = await this.#readRecords();
    for (const [id, record] of recorded) {
      this.#register(id, record);
      if (record.state !== 'lost') await this.#start(this.#entry(id)).catch(() => undefined);
    }
    const known = new Set([...recorded.values()].map(({ path }) => path));
    const added = new Map<number, NodeRecord>();
    for (const { name } of this.#parts.machine.disks) {
      if (known.has(name)) continue;
      const id = this.#nextId();
      const record = await this.#make(name);
      added.set(id, record);
      this.#register(id, record);
      await this.#start(this.#entry(id));
    }
    await this.#parts.registry.probeAll();
    return added;
  }

  /** Called every second: opens what came back, makes anew what went away, compacts a little. */
  async look(): Promise<void> {
    const looks = [...this.entries.values()].map((entry) => {
      entry.looking ??= this.#lookAt(entry).finally(() => {
        entry.looking = undefined;
      });
      return entry.looking;
    });
    await Promise.race([Promise.allSettled(looks), this.#parts.clock.sleep(LOOK_MS_MAX)]);
    await this.#parts.registry.probeAll();
  }

  async #lookAt(entry: Entry): Promise<void> {
    const { node, record } = entry;
    if (entry.stopped || entry.failed) return;
    try {
      if (record.state === 'lost') return await this.#takeBack(entry);
      if (!node.running) await this.#start(entry);
      await node.checkDirectory();
      await node.compactStep(COMPACTION_BYTES_PER_STEP);
    } catch (error) {
      if (hasCode(error, 'NodeFailed')) entry.failed = true;
      if (hasCode(error, 'NodeUnavailable') && record.state !== 'lost') await this.#remake(entry);
    }
  }

  async #takeBack(entry: Entry): Promise<void> {
    if (entry.record.replacedBy !== undefined) return;
    await this.#start(entry);
    await this.#saveRecord(entry, { ...entry.record, state: 'active' });
  }

  async stop(id: number): Promise<void> {
    const entry = this.#entry(id);
    entry.stopped = true;
    await entry.looking;
    await entry.node.stop();
    await this.#parts.registry.probe(id);
  }

  async start(id: number): Promise<void> {
    const entry = this.#entry(id);
    await entry.looking;
    if (entry.failed) await entry.node.stop();
    entry.failed = false;
    entry.stopped = false;
    if (entry.record.state === 'lost') await this.#takeBack(entry);
    else await this.#start(entry);
    await entry.looking;
    await this.#parts.registry.probe(id);
  }

  async declareLost(id: number): Promise<void> {
    const entry = this.#entry(id);
    await entry.node.stop();
    await this.#saveRecord(entry, { ...entry.record, state: 'lost' });
  }

  /** Gives a node up and makes one on another disk in its place. */
  async replace(id: number, diskName: string): Promise<void> {
    const entry = this.#entry(id);
    entry.stopped = true;
    await entry.looking;
    await entry.node.stop();
    const record = await this.#make(diskName);
    const newId = this.#nextId();
    const lost: NodeRecord = { ...entry.record, state: 'lost', replacedBy: newId };
    await this.committer?.commit([
      { type: 'put', key: keys.node(id), value: encodeRecord(lost) },
      { type: 'put', key: keys.node(newId), value: encodeRecord(record) },
    ]);
    entry.record = lost;
    this.#parts.registry.update(id, lost);
    this.#register(newId, record);
    await this.#start(this.#entry(newId));
    await this.#parts.registry.probe(newId);
  }

  /** The id of the node on a disk that has not been given up. */
  idOn(diskName: string): number | undefined {
    for (const [id, { record }] of this.entries) {
      if (record.path === diskName && record.state !== 'lost') return id;
    }
    return undefined;
  }

  async close(): Promise<void> {
    await Promise.all([...this.entries.values()].map(({ node }) => node.stop()));
  }

  async #readRecords(): Promise<Map<number, NodeRecord>> {
    const cursor = this.#parts.engine.cursor(prefixRange(prefixes.nodes()));
    try {
      const entries = await cursor.next(1000);
      return new Map(entries.map(([key, value]) => [key.readUInt16BE(1), decodeRecord<NodeRecord>(value)]));
    } finally {
      await cursor.close();
    }
  }

  async #start({ node, record }: Entry): Promise<void> {
    await assertOwnFolder(node.options, record.nodeUuid);
    await node.start();
  }

  #register(id: number, record: NodeRecord): void {
    const node = this.#embedded(record.path);
    this.entries.set(id, { node, record, stopped: false, failed: false, looking: undefined });
    this.#parts.registry.add(id, record, node);
  }

  #embedded(diskName: string): EmbeddedNode {
    const { machine, clock, random } = this.#parts;
    const { disk } = machine.disk(diskName);
    return new EmbeddedNode({
      disk,
      directory: NODE_DIRECTORY,
      clock,
      random,
      segmentBytesMax: SEGMENT_BYTES_MAX,
    });
  }

  /** A node that was made in a start which did not live to record it is adopted. */
  async #make(diskName: string): Promise<NodeRecord> {
    const node = this.#embedded(diskName);
    await node.start(true);
    const { nodeUuid } = await node.hello();
    await node.stop();
    const addedMs = this.#parts.clock.nowMs();
    return {
      v: RECORD_FORMAT,
      nodeUuid,
      path: diskName,
      onDataFilesystem: true,
      farm: diskName,
      state: 'active',
      addedMs,
    };
  }

  async #remake(entry: Entry): Promise<void> {
    const { node, record } = entry;
    await node.stop();
    const hasIdentity = await node.options.disk.exists(identityPath(NODE_DIRECTORY)).catch(() => true);
    if (hasIdentity && !(await this.#isMadeAnewAlready(entry))) return;
    try {
      await node.start(true);
    } catch {
      return;
    }
    const { nodeUuid } = await node.hello();
    await this.#saveRecord(entry, { ...record, nodeUuid });
    await this.#parts.registry.probe(this.idOn(record.path) ?? 0);
  }

  /** A crash came between making the directory anew and writing that down. */
  async #isMadeAnewAlready({ node, record }: Entry): Promise<boolean> {
    const found = new EmbeddedNode(node.options);
    try {
      await found.start();
      const { nodeUuid, durableAppends } = await found.hello();
      return durableAppends === 0 && nodeUuid !== record.nodeUuid;
    } catch {
      return false;
    } finally {
      await found.stop();
    }
  }

  async #saveRecord(entry: Entry, record: NodeRecord): Promise<void> {
    const id = [...this.entries].find(([, other]) => other === entry)?.[0] ?? 0;
    await this.committer?.commit([{ type: 'put', key: keys.node(id), value: encodeRecord(record) }]);
    entry.record = record;
    this.#parts.registry.update(id, record);
  }

  #entry(id: number): Entry {
    const entry = this.entries.get(id);
    if (entry === undefined) throw new RangeError(`there is no node ${id}`);
    return entry;
  }

  #nextId(): number {
    return Math.max(0, ...this.entries.keys()) + 1;
  }
}
