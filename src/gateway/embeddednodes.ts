/**
 * The nodes that live in this process: which there are (records in the metadata), opening and closing them, and noticing when a directory
 * goes away or comes back (design/commits.md, "Nodes"):
 * - an empty or foreign directory is offline, never lost; only one that lies on the data directory's own file system is made anew at
 *   once, since no disk can have come unmounted there;
 * - a node that was declared lost for its silence and shows up again with its data is taken back, one that was replaced never;
 * - a node that ended because its disk failed stays offline until `nodes start` or a restart of the server.
 */
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { MIB, SECOND_MS } from '../base/units.ts';
import type { Committer } from '../commitlog/commit.ts';
import type { GridRegistry } from '../grid/registry.ts';
import { keys } from '../metadata/keys.ts';
import { encodeRecord, type NodeRecord } from '../metadata/records.ts';
import type { Disk } from '../node/disk.ts';
import { EmbeddedNode } from '../node/embedded.ts';
import type { NodeOptions } from '../node/store.ts';
import { assertOwnFolder, hasNoIdentity, isOnFilesystemOf, makeNode } from './nodefolders.ts';

const COMPACTION_BYTES_PER_STEP = 16 * MIB;
/** A node whose disk hangs holds up the look at the others no longer than this. */
const LOOK_MS_MAX = 2 * SECOND_MS;

export interface EmbeddedNodesParts {
  readonly dataDirectory: string;
  readonly ids: { next(): number };
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: GridRegistry;
  readonly log: Logger;
  readonly capacityBytes: number | undefined;
}

interface Entry {
  readonly id: number;
  readonly node: EmbeddedNode;
  record: NodeRecord;
  /** By the operator. */
  stopped: boolean;
  /** Its disk failed while it ran. */
  failed: boolean;
  /** Why it could not be opened; empty when it was. */
  problem: string;
  looking: Promise<void> | undefined;
}

/** What the operator says of a node. */
export interface NodeAbout {
  readonly farm?: string;
  readonly site?: string;
  readonly country?: string;
  readonly weight?: number;
}

export interface NodeFolders {
  readonly paths: readonly string[];
  /** They are nobody's wish but the default: a grid that has nodes in other places gets none of them. */
  readonly byDefault: boolean;
}

export class EmbeddedNodes {
  readonly #parts: EmbeddedNodesParts;
  readonly #entries = new Map<number, Entry>();
  #committer: Committer | undefined;

  constructor(parts: EmbeddedNodesParts) {
    this.#parts = parts;
  }

  /** Records change through it; there is none while the nodes are opened for the first inventory. */
  set committer(committer: Committer) {
    this.#committer = committer;
  }

  /**
   * Opens the nodes of `records`, and makes those of `folders` that have no record yet. Returns the records that are new or changed, to be
   * committed before anything is written.
   */
  async open(
    records: ReadonlyMap<number, NodeRecord>,
    folders: NodeFolders,
  ): Promise<ReadonlyMap<number, NodeRecord>> {
    for (const [id, record] of records) this.#register(id, record);
    const wanted = folders.byDefault && this.#hasNodesElsewhere(folders.paths) ? [] : folders.paths;
    const changed = new Map<number, NodeRecord>();
    await Promise.all([...this.#entries.values()].map((entry) => this.#openAtStart(entry, changed)));
    const known = new Set([...this.#entries.values()].map(({ record }) => this.absolute(record.path)));
    for (const folder of wanted) {
      if (known.has(resolve(folder))) continue;
      const id = this.#parts.ids.next();
      const record = await makeNode(this.#parts.dataDirectory, this.#options(resolve(folder)));
      changed.set(id, record);
      await this.#register(id, record).node.start();
    }
    await this.#parts.registry.probeAll();
    return changed;
  }

  #hasNodesElsewhere(paths: readonly string[]): boolean {
    const parents = new Set(paths.map((path) => dirname(resolve(path))));
    return [...this.#entries.values()].some(
      ({ record }) => !parents.has(dirname(this.absolute(record.path))),
    );
  }

  async #openAtStart(entry: Entry, changed: Map<number, NodeRecord>): Promise<void> {
    if (entry.record.state === 'lost') return;
    try {
      await this.#start(entry);
      if (await this.#isOffDataFilesystemNow(entry)) {
        entry.record = { ...entry.record, onDataFilesystem: false };
        changed.set(entry.id, entry.record);
      }
    } catch (err) {
      this.#note(entry, err);
    }
  }

  /** The data was moved to a disk of its own, which may come unmounted one day. */
  async #isOffDataFilesystemNow({ record }: Entry): Promise<boolean> {
    return record.onDataFilesystem && !(await this.#isOnDataFilesystem(this.absolute(record.path)));
  }

  #isOnDataFilesystem(directory: string): Promise<boolean> {
    return isOnFilesystemOf(this.#parts.dataDirectory, directory);
  }

  /** Opens the directory after making sure that it is this node's. */
  async #start(entry: Entry): Promise<void> {
    await assertOwnFolder(entry.node.options, entry.record.nodeUuid);
    await entry.node.start();
    entry.problem = '';
  }

  #register(id: number, record: NodeRecord): Entry {
    const node = new EmbeddedNode(this.#options(this.absolute(record.path)));
    const state = { stopped: false, failed: false, problem: '', looking: undefined };
    const entry: Entry = { id, node, record, ...state };
    this.#entries.set(id, entry);
    this.#parts.registry.add(id, record, node);
    return entry;
  }

  #options(directory: string): NodeOptions {
    const { disk, clock, random, capacityBytes } = this.#parts;
    const sharers = () => this.#sharersOf(directory);
    const limit = capacityBytes === undefined ? {} : { capacityBytes };
    return { disk, directory, clock, random, sharers, ...limit };
  }

  /** How many nodes keep their data on the file system of this directory. */
  #sharersOf(directory: string): number {
    const nodes = this.#parts.registry.nodes().filter((node) => node.record.state !== 'lost');
    const own = nodes.find((node) => this.absolute(node.record.path) === directory)?.hello?.filesystemId;
    return Math.max(1, nodes.filter((node) => own === undefined || node.hello?.filesystemId === own).length);
  }

  absolute(path: string): string {
    return isAbsolute(path) ? path : join(this.#parts.dataDirectory, path);
  }

  /** Why a node is not online, as far as it is known here; empty otherwise. */
  problem(id: number): string {
    const entry = this.#entries.get(id);
    return entry?.stopped ? 'stopped by the operator' : (entry?.problem ?? '');
  }

  /**
   * Looks at every node: notices directories that went away, makes those anew that may be, reopens those that came back, and compacts a
   * little. Called every second or so.
   */
  async look(): Promise<void> {
    const looks = [...this.#entries.values()].map((entry) => {
      entry.looking ??= this.#lookAt(entry).finally(() => {
        entry.looking = undefined;
      });
      return entry.looking;
    });
    const enough = new AbortController();
    await Promise.race([
      Promise.allSettled(looks),
      this.#parts.clock.sleep(LOOK_MS_MAX, enough.signal).catch(() => undefined),
    ]);
    enough.abort();
    await this.#parts.registry.probeAll();
  }

  async #lookAt(entry: Entry): Promise<void> {
    if (entry.stopped || entry.failed) return;
    try {
      if (entry.record.state === 'lost') {
        await this.#takeBack(entry);
        return;
      }
      if (!entry.node.running) await this.#start(entry);
      await entry.node.checkDirectory();
      await entry.node.compactStep(COMPACTION_BYTES_PER_STEP);
    } catch (error) {
      if (hasCode(error, 'NodeFailed')) entry.failed = true;
      if (entry.record.state !== 'lost') this.#note(entry, error);
      if (hasCode(error, 'NodeUnavailable') && entry.record.state !== 'lost') await this.#remake(entry);
    }
  }

  /** A node that was given up for its silence and is there again with its data is no longer lost. */
  async #takeBack(entry: Entry): Promise<void> {
    const { record } = entry;
    if (
      record.replacedBy !== undefined ||
      record.removed ||
      this.#userOf(this.absolute(record.path)) !== undefined
    )
      return;
    await this.#start(entry);
    await this.#saveRecord(entry, { ...record, state: 'active' });
    this.#parts.log.warn({ node: entry.id }, 'a node that was declared lost is back with its data');
  }

  /** Logs a problem once, not every second. */
  #note(entry: Entry, error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    if (entry.problem === problem) return;
    entry.problem = problem;
    this.#parts.log.warn(
      { node: entry.id, path: this.absolute(entry.record.path), problem },
      'node has a problem',
    );
  }

  /** The directory is not there or is not this node's: makes it anew where that is safe, else leaves the node offline. */
  async #remake(entry: Entry): Promise<void> {
    const directory = this.absolute(entry.record.path);
    await entry.node.stop();
    if (!entry.record.onDataFilesystem || !(await this.#isOnDataFilesystem(directory))) return;
    if (!(await hasNoIdentity(directory)) && !(await this.#isMadeAnewAlready(entry))) return;
    try {
      await entry.node.start(true);
    } catch (error) {
      this.#note(entry, error);
      return;
    }
    const { nodeUuid } = await entry.node.hello();
    entry.problem = '';
    await this.#saveRecord(entry, { ...entry.record, nodeUuid });
    this.#parts.log.warn(
      { node: entry.id, path: directory },
      'node directory was gone; it was made anew and is being filled',
    );
    await this.#parts.registry.probe(entry.id);
  }

  /** A crash came between making the directory anew and writing that down: an empty node that no record knows. */
  async #isMadeAnewAlready({ node, record }: Entry): Promise<boolean> {
    const found = new EmbeddedNode(node.options);
    try {
      await found.start();
      const { nodeUuid, durableAppends } = await found.hello();
      const isKnown = [...this.#entries.values()].some((other) => other.record.nodeUuid === nodeUuid);
      return !isKnown && durableAppends === 0 && nodeUuid !== record.nodeUuid;
    } catch {
      return false;
    } finally {
      await found.stop();
    }
  }

  async #saveRecord(entry: Entry, record: NodeRecord): Promise<void> {
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
    const { replacedBy, removed } = entry.record;
    if (replacedBy !== undefined || removed === true) {
      const what = replacedBy === undefined ? 'taken out of the grid' : `replaced by node ${replacedBy}`;
      throw new HoldfastError('InvalidArgument', { detail: `node ${id} was ${what}` });
    }
    return entry;
  }

  /** The node, not a lost one, whose folder this is. */
  #userOf(folder: string): Entry | undefined {
    return [...this.#entries.values()].find(
      ({ record }) => record.state !== 'lost' && this.absolute(record.path) === folder,
    );
  }

  async stop(id: number): Promise<void> {
    const entry = this.#entry(id);
    entry.stopped = true;
    await entry.looking;
    await entry.node.stop();
    await this.#parts.registry.probe(id);
  }

  /** Also takes back a node that was declared lost, and one whose disk failed. */
  async start(id: number): Promise<void> {
    const entry = this.#entry(id);
    await entry.looking;
    if (entry.failed) await entry.node.stop();
    [entry.failed, entry.stopped] = [false, false];
    if (entry.record.state === 'lost') await this.#takeBack(entry);
    else await this.#start(entry);
    await this.#parts.registry.probe(id);
  }

  /** The node is given up: its record says so, and it is closed. */
  async declareLost(id: number): Promise<void> {
    const entry = this.#entry(id);
    await entry.looking;
    await entry.node.stop();
    await this.#saveRecord(entry, { ...entry.record, state: 'lost' });
  }

  /** Makes a node in an empty folder, or one that is not there yet. Returns its id. */
  async add(folder: string, about: NodeAbout): Promise<number> {
    const user = this.#userOf(folder);
    if (user !== undefined) {
      throw new HoldfastError('InvalidArgument', { detail: `${folder} is the folder of node ${user.id}` });
    }
    const made = await makeNode(this.#parts.dataDirectory, this.#options(folder));
    const { farm = made.farm, site, country, weight } = about;
    const record = {
      ...{ ...made, farm },
      ...(site === undefined ? {} : { site }),
      ...(country === undefined ? {} : { country }),
      ...(weight === undefined ? {} : { weight }),
    };
    const id = this.#parts.ids.next();
    await this.#committer?.commit([{ type: 'put', key: keys.node(id), value: encodeRecord(record) }]);
    await this.#register(id, record).node.start();
    await this.#parts.registry.probe(id);
    return id;
  }

  /** For good: it is not taken back. */
  async remove(id: number): Promise<void> {
    const entry = this.#entry(id);
    entry.stopped = true;
    await entry.looking;
    await entry.node.stop();
    await this.#saveRecord(entry, { ...entry.record, state: 'lost', removed: true });
  }

  /** Gives a node up and puts an empty one in its place. */
  async replace(id: number, path: string | undefined): Promise<{ id: number; path: string }> {
    const entry = this.#entry(id);
    const folder = resolve(path ?? this.absolute(entry.record.path));
    const user = this.#userOf(folder);
    if (user !== undefined && user.id !== id) {
      throw new HoldfastError('InvalidArgument', { detail: `${folder} is the folder of node ${user.id}` });
    }
    if (!(await hasNoIdentity(folder))) {
      throw new HoldfastError('InvalidArgument', {
        detail: `${folder} still holds a node's data; move it away, or name another folder with --path`,
      });
    }
    const wasStopped = entry.stopped;
    entry.stopped = true;
    try {
      await entry.looking;
      await entry.node.stop();
      return await this.#replaceBy(entry, folder);
    } catch (error) {
      entry.stopped = wasStopped;
      throw error;
    }
  }

  async #replaceBy(entry: Entry, folder: string): Promise<{ id: number; path: string }> {
    const record = await makeNode(this.#parts.dataDirectory, this.#options(folder));
    const newId = this.#parts.ids.next();
    const given: NodeRecord = { ...entry.record, state: 'lost', replacedBy: newId };
    await this.#committer?.commit([
      { type: 'put', key: keys.node(entry.id), value: encodeRecord(given) },
      { type: 'put', key: keys.node(newId), value: encodeRecord(record) },
    ]);
    entry.record = given;
    this.#parts.registry.update(entry.id, given);
    await this.#register(newId, record).node.start();
    await this.#parts.registry.probe(newId);
    return { id: newId, path: folder };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ node }) => node.stop()));
  }
}
