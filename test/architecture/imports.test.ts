import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** Layers from the bottom up; a file may import from its own layer and from those in rows above it in this list. */
const rows = [
  ['base'],
  ['config', 'crypto', 'coding'],
  ['node', 'grid', 'metadata'],
  ['stripes'],
  ['commitlog'],
  ['objects'],
  ['healing', 's3', 'admin'],
  ['gateway'],
  ['cli'],
];
/** Inside one row nobody imports a neighbour, but for these: what may know of what. */
const neighbours: Readonly<Record<string, readonly string[]>> = {
  crypto: ['coding'],
  grid: ['node', 'metadata'],
  admin: ['healing'],
};
/** A node has no keys and knows no names (design: "node never imports anything that knows keys or names"). */
const forbidden: Readonly<Record<string, readonly string[]>> = {
  node: ['crypto', 'config', 'metadata', 'grid'],
};

const source = fileURLToPath(new URL('../../src', import.meta.url));
const files = (readdirSync(source, { recursive: true }) as string[]).filter((name) => name.endsWith('.ts'));

function importsOf(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(
    (match) => match[1] ?? '',
  );
  return specifiers.map((specifier) => relative('.', normalize(join(dirname(file), specifier))));
}

const layerOf = (file: string) => file.split('/')[0] ?? '';
const rowOf = (layer: string) => rows.findIndex((row) => row.includes(layer));

function violations(file: string): string[] {
  const layer = layerOf(file);
  if (rowOf(layer) < 0) return [`${file}: ${layer} is not a known layer`];
  return importsOf(file).flatMap((target) => {
    const other = layerOf(target);
    if (target.startsWith('..') || other === layer) return [];
    const allowed = rowOf(other) < rowOf(layer) || (neighbours[layer] ?? []).includes(other);
    return allowed && !(forbidden[layer] ?? []).includes(other) ? [] : [`${file} imports ${target}`];
  });
}

test('imports point one way', () => {
  expect(files.length).toBeGreaterThan(50);
  expect(files.flatMap(violations)).toEqual([]);
});
