/** One small stripe to the byte: what the layer writes, what independent tools compute, and what stands in the published vector. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { GridRegistry } from '../../src/grid/registry.ts';
import { InlineEngine } from '../../src/stripes/engine/inline.ts';
import { Stripes } from '../../src/stripes/store.ts';
import type { SealRun } from '../../src/stripes/types.ts';
import { MemoryStore } from './faultystore.ts';
import { fragmentsOf, type IndependentStripe } from './independent.ts';

type Hex<T> = T extends Buffer ? string : T extends number ? number : { readonly [K in keyof T]: Hex<T[K]> };
const vector: {
  readonly stripe: Hex<IndependentStripe>;
  readonly fragments: readonly { readonly name: string; readonly stored: string }[];
} = JSON.parse(readFileSync(new URL('../vectors/stripe.json', import.meta.url), 'utf8'));

const bytes = (hex: string) => Buffer.from(hex, 'hex');
const { stripe } = vector;
const input: IndependentStripe = {
  ...stripe,
  locator1: bytes(stripe.locator1),
  locator2: bytes(stripe.locator2),
  fragmentMac: bytes(stripe.fragmentMac),
  position: bytes(stripe.position),
  chunks: stripe.chunks.map(({ aeadKey, baseNonce, chunkIndex, plaintext }) => ({
    chunkIndex,
    aeadKey: bytes(aeadKey),
    baseNonce: bytes(baseNonce),
    plaintext: bytes(plaintext),
  })),
};

test('independent tools compute the vector', () => {
  const fragments = fragmentsOf(input);
  expect(fragments.map(({ name, stored }) => [name.toString('hex'), stored.toString('hex')])).toEqual(
    vector.fragments.map(({ name, stored }) => [name, stored]),
  );
});

test('the stripe layer writes the vector, each fragment on a node of its own', async () => {
  const { k, m, codec, generation, locator1, locator2, fragmentMac } = input;
  const profile = { k, m, codecId: codec };
  const grid = new GridRegistry(systemClock, profile);
  const stores = Array.from({ length: k + m }, (_, i) => new MemoryStore(`node ${i}`));
  for (const [i, store] of stores.entries()) {
    const { nodeUuid } = await store.hello();
    grid.add(
      i,
      {
        ...{ v: 1, nodeUuid, path: '', onDataFilesystem: true, farm: `${i}`, addedMs: 0 },
        state: 'active',
      },
      store,
    );
  }
  await grid.probeAll();
  const stripes = await Stripes.create({
    grid,
    engine: new InlineEngine({ profile }),
    clock: systemClock,
    keys: {
      ...{ gridId: Buffer.alloc(16), generation, locator1, locator2, fragmentMac },
      logStripe: Buffer.alloc(32),
    },
    profile,
    positions: {
      logId: input.position.readUInt16BE(2),
      term: input.position.readUInt32BE(4),
      start: input.position.readUInt32BE(8),
    },
  });
  const buffer = await stripes.acquire();
  let at = 0;
  const runs = input.chunks.map(({ aeadKey, baseNonce, chunkIndex, plaintext }): SealRun => {
    buffer.plaintext.set(plaintext, at);
    at += plaintext.length;
    return {
      plaintextOffsetBytes: at - plaintext.length,
      plaintextLengthBytes: plaintext.length,
      ...{ aeadKey, baseNonce, firstChunkIndex: chunkIndex, final: true },
    };
  });
  const written = await stripes.write(buffer, runs);
  buffer.release();
  expect(written.stripeId.equals(input.position)).toBe(true);
  expect(written.ranges).toEqual([
    { offsetBytes: 0, lengthBytes: 316 },
    { offsetBytes: 316, lengthBytes: 416 },
  ]);
  for (const [index, { name, stored }] of vector.fragments.entries()) {
    const store = stores[written.record.nodes[index] ?? -1];
    expect([...(store?.fragments ?? [])].map(([key, value]) => [key, value.toString('hex')])).toEqual([
      [name, stored],
    ]);
  }
});
