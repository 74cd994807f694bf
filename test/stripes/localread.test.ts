/** The shortest way of a read (src/stripes/localread.ts): what it holds, how long, and what it leaves to the other ways. */
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import type { OpenRequest, ReadBuffer } from '../../src/stripes/engine/types.ts';
import { readLocally } from '../../src/stripes/localread.ts';
import type { OpenRun } from '../../src/stripes/types.ts';
import type { VerifyParts } from '../../src/stripes/verified.ts';

const DEADLINE_MS = 20;
const pieces = [
  { index: 0, offsetBytes: 100, lengthBytes: 300, targetBytes: 0 },
  { index: 1, offsetBytes: 0, lengthBytes: 200, targetBytes: 300 },
];
const buffer = { ciphertext: new Uint8Array(500), plaintext: new Uint8Array(500) } as unknown as ReadBuffer;
const run = {
  stripeId: Buffer.alloc(16),
  record: { k: 2, m: 1, nodes: [1, 2, 3], good: Buffer.from([7]) },
  aeadKey: new Uint8Array(32),
  baseNonce: new Uint8Array(12),
  firstChunkIndex: 0,
  final: true,
} as unknown as OpenRun;

/** Two nodes whose fragments are at hand unless `absent` names one; counts what is held and what is reported of them. */
function world(readAndOpen: (request: OpenRequest) => Promise<number>, absent?: number) {
  const seen = { held: 0, reports: [] as string[] };
  const node = (id: number) => ({
    id,
    state: 'online',
    record: { farm: `farm ${id}` },
    store: {
      hold: () => {
        if (id === absent) return undefined;
        seen.held += 1;
        return { descriptor: id, positionBytes: 1000 * id, release: () => (seen.held -= 1) };
      },
    },
  });
  const parts = {
    clock: systemClock,
    seals: { name: () => Buffer.alloc(32) },
    engine: { readAndOpen: (request: OpenRequest) => readAndOpen(request) },
    grid: {
      node,
      mayAsk: () => true,
      readDeadlineMs: () => DEADLINE_MS,
      report: (id: number, outcome: { readonly kind: string }) => seen.reports.push(`${id} ${outcome.kind}`),
      late: () => () => undefined,
    },
  } as unknown as VerifyParts;
  return { seen, read: (signal?: AbortSignal) => readLocally(parts, run, pieces, 500, buffer, true, signal) };
}

describe('a read of files at hand', () => {
  test('gives plaintext, lets go of the files and says how long their nodes took', async () => {
    const { seen, read } = world(async (request) => {
      expect(request.ciphertext).toHaveLength(500);
      expect(seen.held).toBe(2);
      return 480;
    });
    expect((await read()).plaintext).toHaveLength(480);
    expect(seen).toEqual({ held: 0, reports: ['1 read', '2 read'] });
  });

  test('holds nothing when one fragment is not at hand', async () => {
    const { seen, read } = world(() => Promise.reject(new Error('must not be called')), 2);
    expect(await read()).toEqual({});
    expect(seen).toEqual({ held: 0, reports: [] });
  });

  test('leaves a bad tag, and what a file says, to the other ways, and blames no node', async () => {
    for (const error of [
      new HoldfastError('AuthenticationFailed'),
      Object.assign(new Error(), { code: 'EIO' }),
    ]) {
      const { seen, read } = world(() => Promise.reject(error));
      expect(await read()).toEqual({});
      expect(seen.held).toBe(0);
      expect(seen.reports.filter((report) => !report.endsWith('read'))).toEqual([]);
    }
  });

  test('gives up on a disk that hangs, and its memory stays in use until the read has ended', async () => {
    const hanging = Promise.withResolvers<number>();
    const { seen, read } = world(() => hanging.promise);
    const { plaintext, late } = await read();
    expect(plaintext).toBeUndefined();
    expect(seen).toEqual({ held: 2, reports: ['1 missedDeadline', '2 missedDeadline'] });
    let ended = false;
    void late?.then(() => (ended = true));
    await new Promise((resolve) => setTimeout(resolve, DEADLINE_MS));
    expect(ended).toBe(false);
    hanging.resolve(480);
    await late;
    expect(seen.held).toBe(0);
  });

  test('passes on why it was aborted', async () => {
    const abort = new AbortController();
    const { seen, read } = world(async () => {
      abort.abort(new Error('nobody reads any more'));
      return Promise.reject(abort.signal.reason);
    });
    await expect(read(abort.signal)).rejects.toThrow('nobody reads any more');
    expect(seen.held).toBe(0);
  });
});
