/**
 * Deletes the fragments of stripes that nobody needs any more. A stripe leaves `tomb/<stripe>` behind when its record goes, and the
 * tomb goes when every node has confirmed: a node that is away keeps its entry until it is back or lost.
 *
 * Fragments go in random order and at random moments within two minutes, so that what disappears together does not tell the nodes what
 * belongs together. A grid that is nearly full does not wait.
 */
import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { MINUTE_MS } from '../base/units.ts';
import type { CommitOperation, Committer, Precondition } from '../commitlog/commit.ts';
import { answers, type Grid } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { prefixes, prefixRange } from '../metadata/keys.ts';
import { decodeRecord, encodeRecord, type TombRecord } from '../metadata/records.ts';
import type { FragmentAddress, StripeSurgery } from '../stripes/surgery.ts';

const TOMBS_PER_STEP_MAX = 256;
const SPREAD_MS = 2 * MINUTE_MS;
/** Below this share of free space on some node, space comes back at once. */
const FREE_SHARE_MIN = 1 / 8;
/** Fragments whose deletion is known here and not yet written into their tombs. Forgetting one costs a repeated delete. */
const CONFIRMED_MAX = 200_000;

interface Tomb {
  readonly key: Buffer;
  readonly bytes: Buffer;
  readonly stripeId: Buffer;
  readonly record: TombRecord;
}

export interface TombSweeperParts {
  readonly engine: MetadataEngine;
  readonly committer: Committer;
  readonly grid: Grid;
  readonly surgery: StripeSurgery;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether a read is under way in the stripe: then its fragments stay for now. */
  readonly isPinned: (stripeId: Buffer) => boolean;
}

export interface SweepResult {
  /** Tombs that are gone for good. */
  readonly buried: number;
  /** Whether there are tombs behind those that were looked at. */
  readonly more: boolean;
}

export class TombSweeper {
  readonly #parts: TombSweeperParts;
  readonly #salt: number;
  readonly #confirmed = new Set<string>();
  #after: Buffer | undefined;

  constructor(parts: TombSweeperParts) {
    this.#parts = parts;
    this.#salt = parts.random.bytes(4).readUInt32BE();
  }

  /** One page of tombs, going round. */
  async step(): Promise<SweepResult> {
    const { buried, next } = await this.#sweepPage(this.#after, this.#isNearlyFull());
    this.#after = next;
    return { buried, more: next !== undefined };
  }

  /** Every tomb that is due, without spreading. Returns how many are gone for good. */
  async sweepNow(): Promise<number> {
    let total = 0;
    let after: Buffer | undefined;
    do {
      const { buried, next } = await this.#sweepPage(after, true);
      total += buried;
      after = next;
    } while (after !== undefined);
    return total;
  }

  async #sweepPage(
    after: Buffer | undefined,
    isUrgent: boolean,
  ): Promise<{ readonly buried: number; readonly next: Buffer | undefined }> {
    const tombs = await this.#page(after);
    await this.#deleteDue(tombs, isUrgent);
    let buried = 0;
    const operations: CommitOperation[] = [];
    const preconditions: Precondition[] = [];
    for (const tomb of tombs) {
      const left = tomb.record.fragments.filter(
        ({ index, node }) => !this.#confirmed.has(addressKey(tomb, index, node)) && !this.#isGone(node),
      );
      const isDone = left.length === 0;
      // While some are still to be deleted soon, what is known here need not be written down.
      const isShorter = left.length < tomb.record.fragments.length;
      const onlyAwayLeft = left.every(({ node }) => !this.#isReachable(node));
      if (!isDone && !(isShorter && onlyAwayLeft)) continue;
      preconditions.push({ key: tomb.key, expect: tomb.bytes });
      if (isDone) {
        operations.push({ type: 'del', key: tomb.key });
        buried += 1;
      } else {
        const value = encodeRecord<TombRecord>({ ...tomb.record, fragments: left });
        operations.push({ type: 'put', key: tomb.key, value });
      }
      for (const { index, node } of tomb.record.fragments)
        this.#confirmed.delete(addressKey(tomb, index, node));
    }
    if (operations.length > 0) await this.#write(operations, preconditions);
    return { buried, next: tombs.length < TOMBS_PER_STEP_MAX ? undefined : tombs.at(-1)?.key };
  }

  async #deleteDue(tombs: readonly Tomb[], isUrgent: boolean): Promise<void> {
    const nowMs = this.#parts.clock.nowMs();
    const addresses: FragmentAddress[] = [];
    for (const tomb of tombs) {
      if (tomb.record.notBeforeMs > nowMs || this.#parts.isPinned(tomb.stripeId)) continue;
      for (const { index, node } of tomb.record.fragments) {
        const delayMs = isUrgent ? 0 : this.#delayMs(tomb.stripeId, index);
        const isDue = tomb.record.notBeforeMs + delayMs <= nowMs;
        if (!isDue || !this.#isReachable(node) || this.#confirmed.has(addressKey(tomb, index, node)))
          continue;
        addresses.push({ stripeId: tomb.stripeId, index, node });
      }
    }
    if (addresses.length === 0) return;
    shuffle(addresses, this.#parts.random);
    if (this.#confirmed.size > CONFIRMED_MAX) this.#confirmed.clear();
    for (const address of await this.#parts.surgery.deleteFragments(addresses)) {
      this.#confirmed.add(addressKey(address, address.index, address.node));
    }
  }

  async #page(after: Buffer | undefined): Promise<Tomb[]> {
    const range = prefixRange(prefixes.tombs());
    const from = after === undefined ? range.from : Buffer.concat([after, Buffer.of(0)]);
    const cursor = this.#parts.engine.cursor({ from, to: range.to });
    try {
      return (await cursor.next(TOMBS_PER_STEP_MAX)).map(([key, bytes]) => ({
        key,
        bytes,
        stripeId: Buffer.from(key.subarray(1)),
        record: decodeRecord<TombRecord>(bytes),
      }));
    } finally {
      await cursor.close();
    }
  }

  async #write(operations: CommitOperation[], preconditions: Precondition[]): Promise<void> {
    try {
      await this.#parts.committer.commit(operations, preconditions);
    } catch (error) {
      // Somebody changed one of these tombs meanwhile; the next round sees it as it is then.
      if (!hasCode(error, 'CommitConflict')) throw error;
    }
  }

  /** The same for a fragment until the process ends, so that no state is needed to wait for it. FNV-1a. */
  #delayMs(stripeId: Uint8Array, index: number): number {
    let hash = (0x811c9dc5 ^ this.#salt) >>> 0;
    for (const byte of stripeId) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    hash = Math.imul(hash ^ index, 0x01000193) >>> 0;
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> 0;
    return ((hash ^ (hash >>> 13)) >>> 0) % SPREAD_MS;
  }

  #isNearlyFull(): boolean {
    return this.#parts.grid
      .nodes()
      .some(
        ({ id, hello }) => this.#isReachable(id) && isShortOfSpace(hello?.freeBytes, hello?.capacityBytes),
      );
  }

  #isReachable(nodeId: number): boolean {
    return answers(this.#parts.grid.node(nodeId));
  }

  #isGone(nodeId: number): boolean {
    const node = this.#parts.grid.node(nodeId);
    return node === undefined || node.record.state === 'lost';
  }
}

function isShortOfSpace(freeBytes = 0, capacityBytes = 0): boolean {
  return freeBytes < capacityBytes * FREE_SHARE_MIN;
}

function addressKey({ stripeId }: { readonly stripeId: Uint8Array }, index: number, node: number): string {
  return `${mapKey(stripeId)}${index}/${node}`;
}

/** Fisher–Yates. */
function shuffle<T>(items: T[], random: Random): void {
  if (items.length < 2) return;
  const draws = random.bytes(items.length * 4);
  for (let i = items.length - 1; i > 0; i--) {
    const j = draws.readUInt32BE(i * 4) % (i + 1);
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
}
