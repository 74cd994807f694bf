/**
 * The shortest way of a read: when every data fragment of a range lies in an open file of this machine, the engine reads and decrypts in
 * one trip. Any other outcome than plaintext is left to the reader's usual ways, which find out whose fault it was.
 */
import type { ReadBuffer } from './engine/types.ts';
import { allSettled, ask } from './exchange.ts';
import { holder, type StripeRef } from './gather.ts';
import type { FragmentPiece } from './pieces.ts';
import type { OpenRun } from './types.ts';
import type { VerifyParts } from './verified.ts';

interface Held {
  readonly node: number;
  readonly descriptor: number;
  readonly positionBytes: number;
  readonly lengthBytes: number;
  release(): void;
}

type Outcome = { readonly kind: 'opened'; readonly lengthBytes: number } | { readonly kind: 'failed' };

/**
 * Reads and opens into `buffer`. `late` resolves when nothing writes to the buffer any more; it is there only when this gave up waiting.
 * @throws the signal's reason
 */
export async function readLocally(
  parts: VerifyParts,
  run: OpenRun,
  pieces: readonly FragmentPiece[],
  lengthBytes: number,
  buffer: ReadBuffer,
  signal: AbortSignal | undefined,
): Promise<{ readonly plaintext?: Uint8Array; readonly late?: Promise<unknown> }> {
  const held = holdAll(parts, run, pieces);
  if (held === undefined) return {};
  const { aeadKey, baseNonce, firstChunkIndex, final } = run;
  const ciphertext = buffer.ciphertext.subarray(0, lengthBytes);
  const request = { ciphertext, plaintext: buffer.plaintext, aeadKey, baseNonce, firstChunkIndex, final };
  const work = parts.engine
    .readAndOpen(request, held, signal)
    .then(
      (openedBytes): Outcome => ({ kind: 'opened', lengthBytes: openedBytes }),
      (): Outcome => ({ kind: 'failed' }),
    )
    .finally(() => {
      for (const { release } of held) release();
    });
  const nodes = new Set(held.map(({ node }) => node));
  const asked = await allSettled(
    [...nodes].map((id) => ask(parts, parts.grid.node(id)!, 'read', () => work)),
  );
  if (asked.some(({ kind }) => kind !== 'done')) return { late: work };
  signal?.throwIfAborted();
  const outcome = await work;
  return outcome.kind === 'opened' ? { plaintext: buffer.plaintext.subarray(0, outcome.lengthBytes) } : {};
}

/** Where all pieces lie; undefined, and nothing is held, when one is not at hand. */
function holdAll(parts: VerifyParts, run: StripeRef, pieces: readonly FragmentPiece[]): Held[] | undefined {
  const held: Held[] = [];
  for (const { index, offsetBytes, lengthBytes } of pieces) {
    const node = holder(parts.grid, run.record, index);
    const name = parts.seals.name(run.stripeId, index);
    const bytes = node?.store.hold?.(name, offsetBytes, lengthBytes);
    if (node === undefined || bytes === undefined) {
      for (const { release } of held) release();
      return undefined;
    }
    held.push({ ...bytes, node: node.id, lengthBytes, release: () => bytes.release() });
  }
  return held;
}
