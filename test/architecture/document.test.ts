/** ARCHITECTURE.md names files and bounds: those names have to be there, so that a rename does not leave the text behind. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
const files = ['src', 'native', 'test', 'bench', 'scripts', 'bin', 'docs'].flatMap((folder) =>
  (readdirSync(join(root, folder), { recursive: true }) as string[]).map((name) => `/${folder}/${name}`),
);
const named = (pattern: RegExp) => [...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? ''))];

test('every file that ARCHITECTURE.md names is there', () => {
  const names = named(/`([\w./-]+\.(?:ts|js|json|md|[ch]))`/g).filter(
    (name) => name.includes('/') || name.endsWith('.ts'),
  );
  expect(names.length).toBeGreaterThan(80);
  expect(names.filter((name) => !files.some((file) => file.endsWith(`/${name}`)))).toEqual([]);
});

test('every constant that ARCHITECTURE.md names is in the source', () => {
  const source = files
    .filter((file) => file.startsWith('/src/') && file.endsWith('.ts'))
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n');
  const names = named(/`([A-Z]+(?:_[A-Z]+)+)`/g);
  expect(names.filter((name) => !source.includes(`const ${name}`))).toEqual([]);
});
