import { expect, test } from 'vitest';
import { buildContext, buildIdContext, requireSuite } from '../../src/crypto/context.ts';
import { derive, rootScope } from '../../src/crypto/derive.ts';
import { deriveGridKeys, repairKeysOf } from '../../src/crypto/gridkeys.ts';
import { expandOnceMore, hex, readVectors } from './support.ts';

const vectors = readVectors<{
  gridId: string;
  generation: number;
  gridSecret: string;
  keys: Record<string, string>;
  other: { key: string; label: string; gridId: string; generation: number; length: number; result: string }[];
}>('keys-derive.json');

/** design/keys.md, "Notation", once more. */
function deriveOnceMore(key: Buffer, label: string, gridId: Buffer, generation: number, lengthBytes: number) {
  const generationField = Buffer.alloc(4);
  generationField.writeUInt32BE(generation);
  const info = Buffer.concat([Buffer.from(`holdfast/v1/${label}\0`), gridId, generationField]);
  return expandOnceMore(key, info, lengthBytes).toString('hex');
}

test.each(vectors.other)('D of $label in generation $generation', (vector) => {
  const [key, gridId] = [hex(vector.key), hex(vector.gridId)];
  const result = derive(key, vector.label, { gridId, generation: vector.generation }, vector.length);
  expect(result.toString('hex')).toBe(vector.result);
  expect(deriveOnceMore(key, vector.label, gridId, vector.generation, vector.length)).toBe(vector.result);
});

test('the keys under the grid secret have their labels and nothing in common', () => {
  const { gridSecret, generation } = vectors;
  const gridId = hex(vectors.gridId);
  const keys = deriveGridKeys({ gridSecret: hex(gridSecret), gridId, generation });
  const byLabel: Record<string, Buffer> = {
    'locator/1': keys.locator1,
    'locator/2': keys.locator2,
    'fragment-mac': keys.fragmentMac,
    'log/stripe': keys.logStripe,
    'log/object': keys.logObject,
    credentials: keys.credentials,
    epoch: keys.epoch,
  };
  expect(Object.keys(byLabel)).toEqual(Object.keys(vectors.keys));
  for (const [label, key] of Object.entries(byLabel)) {
    expect(key.toString('hex')).toBe(vectors.keys[label]);
    expect(deriveOnceMore(hex(gridSecret), label, gridId, generation, 32)).toBe(vectors.keys[label]);
  }
  expect(new Set(Object.values(vectors.keys)).size).toBe(7);
  const handedOut = Object.keys(repairKeysOf(keys)).sort();
  expect(handedOut).toEqual(['fragmentMac', 'generation', 'gridId', 'locator1', 'locator2', 'logStripe']);
});

test('another grid, generation, label or key gives another result', () => {
  const key = Buffer.alloc(32, 1);
  const results = [
    derive(key, 'a', rootScope, 32),
    derive(key, 'b', rootScope, 32),
    derive(key, 'a', { ...rootScope, generation: 1 }, 32),
    derive(key, 'a', { gridId: Buffer.alloc(16, 1), generation: 0 }, 32),
    derive(Buffer.alloc(32, 2), 'a', rootScope, 32),
  ];
  expect(new Set(results.map((result) => result.toString('hex'))).size).toBe(results.length);
});

test('a context is label, zero byte, fields; ids have one width and suites are known', () => {
  expect(buildContext('ab', Buffer.of(1, 2), Buffer.of(3)).toString('hex')).toBe('616200010203');
  expect(buildIdContext('w', 1, Buffer.alloc(16, 7)).toString('hex')).toBe(`77000001${'07'.repeat(16)}`);
  expect(() => buildIdContext('w', 1, Buffer.alloc(15))).toThrow('16 bytes');
  expect(() => requireSuite(1, 'a content')).not.toThrow();
  expect(() => requireSuite(2, 'a content')).toThrow(expect.objectContaining({ code: 'FormatTooNew' }));
});
