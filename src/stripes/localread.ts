/**
 * The shortest way of a read: when everything that it needs lies in open files of this machine, the engine reads, rebuilds what is lost and
 * decrypts in one trip. Any other outcome than plaintext is left to the reader's usual ways, which find out whose fault it was.
 */
import { CAUCHY_CODEC_ID } from '../coding/cauchy.ts';
import type { GridNode } from '../grid/types.ts';
import { isGood } from './condition.ts';
import type { LocalPiece, LocalSources, LostPiece, ReadBuffer } from './engine/types.ts';
import { allSettled, ask } from './exchange.ts';
import { cheapestFirst, holder, type StripeRef } from './gather.ts';
import type { FragmentPiece } from './pieces.ts';
import type { OpenRun } from './types.ts';
import type { VerifyParts } from './verified.ts';

interface Held {
  readonly node: GridNode;
  readonly descriptor: number;
  readonly positionBytes: number;
  release(): void;
}

/** What is held of a stripe until a read of it has ended. */
interface Holding {
  readonly pieces: readonly (LocalPiece | LostPiece)[];
  readonly sources?: LocalSources;
  readonly held: readonly Held[];
}

type Outcome = { readonly kind: 'opened'; readonly lengthBytes: number } | { readonly kind: 'failed' };

/**
 * Reads and opens into `buffer`; `plain`: from the data fragments alone. `late` resolves when nothing writes to the buffer any more; it is
 * there only when this gave up waiting.
 * @throws the signal's reason
 */
export async function readLocally(
  parts: VerifyParts,
  run: OpenRun,
  pieces: readonly FragmentPiece[],
  lengthBytes: number,
  buffer: ReadBuffer,
  plain: boolean,
  signal: AbortSignal | undefined,
): Promise<{ readonly plaintext?: Uint8Array; readonly late?: Promise<unknown> }> {
  const holding = plain ? holdPlain(parts, run, pieces) : holdDegraded(parts, run, pieces);
  if (holding === undefined) return {};
  const { aeadKey, baseNonce, firstChunkIndex, final } = run;
  const ciphertext = buffer.ciphertext.subarray(0, lengthBytes);
  const request = { ciphertext, plaintext: buffer.plaintext, aeadKey, baseNonce, firstChunkIndex, final };
  const work = parts.engine
    .readAndOpen(request, holding.pieces, holding.sources, signal)
    .then(
      (openedBytes): Outcome => ({ kind: 'opened', lengthBytes: openedBytes }),
      (): Outcome => ({ kind: 'failed' }),
    )
    .finally(() => release(holding.held));
  const nodes = new Map(holding.held.map(({ node }) => [node.id, node]));
  const asked = await allSettled([...nodes.values()].map((node) => ask(parts, node, 'read', () => work)));
  if (asked.some(({ kind }) => kind !== 'done')) return { late: work };
  signal?.throwIfAborted();
  const outcome = await work;
  return outcome.kind === 'opened' ? { plaintext: buffer.plaintext.subarray(0, outcome.lengthBytes) } : {};
}

function release(held: readonly Held[]): void {
  for (const one of held) one.release();
}

function hold(
  { grid, seals }: VerifyParts,
  { stripeId, record }: StripeRef,
  index: number,
  offsetBytes: number,
  lengthBytes: number,
): Held | undefined {
  const node = holder(grid, record, index);
  const bytes = node?.store.hold?.(seals.name(stripeId, index), offsetBytes, lengthBytes);
  return node && bytes && { ...bytes, node, release: () => bytes.release() };
}

/** Where all pieces lie; undefined, and nothing is held, when one is not at hand. */
function holdPlain(
  parts: VerifyParts,
  run: StripeRef,
  pieces: readonly FragmentPiece[],
): Holding | undefined {
  const held: Held[] = [];
  for (const { index, offsetBytes, lengthBytes } of pieces) {
    const one = hold(parts, run, index, offsetBytes, lengthBytes);
    if (one === undefined) {
      release(held);
      return undefined;
    }
    held.push(one);
  }
  return { held, pieces: held.map((one, i) => placed(one, pieces[i]!.lengthBytes)) };
}

/** The cheapest k fragments, whole, and the pieces as they lie in these or are lost; undefined when so many are not at hand. */
function holdDegraded(
  parts: VerifyParts,
  run: StripeRef,
  pieces: readonly FragmentPiece[],
): Holding | undefined {
  const { record } = run;
  if (record.codec !== CAUCHY_CODEC_ID) return undefined;
  const needed = new Set(pieces.map(({ index }) => index));
  const sound = record.nodes
    .map((_, index) => index)
    .filter((index) => isGood(record, index) && holder(parts.grid, record, index)?.state === 'online');
  const held = new Map<number, Held>();
  for (const index of cheapestFirst(parts.grid, record, sound, needed)) {
    if (held.size === record.k) break;
    const one = hold(parts, run, index, 0, record.fragmentLengthBytes);
    if (one !== undefined) held.set(index, one);
  }
  if (held.size < record.k) {
    release([...held.values()]);
    return undefined;
  }
  const sources = [...held].map(([index, { descriptor, positionBytes }]) => ({
    index,
    descriptor,
    positionBytes,
  }));
  return {
    held: [...held.values()],
    sources: { k: record.k, m: record.m, sources },
    pieces: pieces.map(({ index, offsetBytes, lengthBytes }) => {
      const one = held.get(index);
      return one === undefined
        ? { lostIndex: index, offsetBytes, lengthBytes }
        : placed(one, lengthBytes, offsetBytes);
    }),
  };
}

function placed({ descriptor, positionBytes }: Held, lengthBytes: number, offsetBytes = 0): LocalPiece {
  return { descriptor, positionBytes: positionBytes + offsetBytes, lengthBytes };
}
