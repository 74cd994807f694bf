/**
 * Opens the nodes and the one way to change anything. The inventory of names comes before a term is taken, the term before anything is
 * written (design/commits.md, "Names").
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { SlotCommitter } from '../commitlog/committer.ts';
import { engineSlotWriter } from '../commitlog/slot.ts';
import { openTerm, type Token } from '../commitlog/term.ts';
import type { DataDirectory } from '../config/datadirectory.ts';
import type { Config } from '../config/load.ts';
import { createLocator } from '../crypto/locator.ts';
import { GridRegistry } from '../grid/registry.ts';
import type { GridNode } from '../grid/types.ts';
import { keys } from '../metadata/keys.ts';
import { encodeRecord } from '../metadata/records.ts';
import { realDisk } from '../node/realdisk.ts';
import type { Closers } from './closers.ts';
import { EmbeddedNodes, type NodeFolders } from './embeddednodes.ts';
import type { Foundation } from './foundation.ts';
import { GridNodes, NodeIds } from './gridnodes.ts';
import { RemoteNodes } from './remotenodes.ts';
import { orphansHeldUntilMs } from './rollback.ts';

/** One log for each gateway; there is one gateway. */
export const LOG_ID = 1;
const NAMES_PER_PAGE = 10_000;

interface TermLocator {
  invert(name: Uint8Array): { readonly term: number } | undefined;
}

export interface OpenGrid {
  readonly registry: GridRegistry;
  readonly nodes: GridNodes;
  readonly committer: SlotCommitter;
  readonly token: Token;
  /** Until then no orphan is deleted unasked: the metadata is older than what the nodes hold. */
  readonly heldUntilMs: number;
}

export async function openGrid(
  config: Config,
  foundation: Foundation,
  seams: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
  closers: Closers,
): Promise<OpenGrid> {
  const { clock, random, log } = seams;
  const { data, engine, gridKeys, profile } = foundation;
  const registry = new GridRegistry(clock, profile);
  const capacityBytes = config.optionalNumber('grid.node-capacity');
  const ids = new NodeIds();
  const embedded = new EmbeddedNodes({
    dataDirectory: data.path,
    disk: realDisk,
    ...{ ids, clock, random, registry, log, capacityBytes },
  });
  const { identitySeed } = foundation.bundle;
  const remote = await RemoteNodes.create({ gridKeys, identitySeed, clock, random, registry, log });
  const nodes = new GridNodes({ engine, embedded, remote, ids });
  closers.add(() => nodes.close());
  const added = await nodes.open(foldersOf(config, data));
  const shown = await highestTerm(registry, await createLocator(gridKeys));
  const highest = Math.max(shown, nodes.highestTerm(LOG_ID));
  const heldUntilMs = await orphansHeldUntilMs(engine, highest, clock.nowMs());
  if (heldUntilMs > clock.nowMs()) {
    log.warn('the metadata is older than what the nodes hold: fragments that it does not know are kept');
  }
  const token = await openTerm(engine, highest, random);
  const committer = new SlotCommitter({
    ...{ engine, clock, token },
    writer: engineSlotWriter(engine),
    onFailure: (err, slot, attempt) =>
      log.error({ err, slot, attempt }, 'metadata could not be written; trying again'),
  });
  closers.add(() => committer.close());
  nodes.committer = committer;
  nodes.writer = { logId: LOG_ID, ...token };
  if (added.size > 0) {
    await committer.commit(
      [...added].map(([id, record]) => ({ type: 'put', key: keys.node(id), value: encodeRecord(record) })),
    );
  }
  return { registry, nodes, committer, token, heldUntilMs };
}

function foldersOf(config: Config, data: DataDirectory): NodeFolders {
  const folders = config.strings('grid.folders');
  if (folders.length > 0) return { paths: folders, byDefault: false };
  const count = config.number('grid.nodes');
  const paths = Array.from({ length: count }, (_, index) => join(data.nodes, `node-${index + 1}`));
  return { paths, byDefault: config.source('grid.nodes') === 'default' };
}

/** The highest term in the names that the nodes hold; 0 when there are none. */
async function highestTerm(registry: GridRegistry, locator: TermLocator): Promise<number> {
  const online = registry.nodes().filter((node) => node.state === 'online');
  return Math.max(0, ...(await Promise.all(online.map((node) => highestTermOn(node, locator)))));
}

/** A node that fails while it is listed has said what it said: starts differ by their random number as well. */
async function highestTermOn({ store }: GridNode, locator: TermLocator): Promise<number> {
  let highest = 0;
  let after: Buffer | undefined;
  try {
    do {
      const page = await store.list(after, NAMES_PER_PAGE);
      for (const { name } of page.fragments) highest = Math.max(highest, locator.invert(name)?.term ?? 0);
      after = page.next;
    } while (after !== undefined);
  } catch (error) {
    if (!hasCode(error, 'NodeUnavailable', 'NodeFailed')) throw error;
  }
  return highest;
}
