import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFileDurably, fileExposure, writeFileDurably } from '../../src/base/durablefile.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-durable-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('a written file has its content and exactly its mode, and no temporary file stays', async () => {
  const path = join(directory, 'secret.json');
  const umask = process.umask(0o277);
  try {
    await writeFileDurably(path, 'first', 0o600);
  } finally {
    process.umask(umask);
  }
  expect(await readFile(path, 'utf8')).toBe('first');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await writeFileDurably(path, Buffer.from('second'), 0o640);
  expect(await readFile(path, 'utf8')).toBe('second');
  expect((await stat(path)).mode & 0o777).toBe(0o640);
  expect(await readdir(directory)).toEqual(['secret.json']);
});

test('a file that must be new is never replaced, also when writers race', async () => {
  const path = join(directory, 'secret.json');
  const outcomes = await Promise.allSettled(
    ['a', 'b', 'c', 'd'].map((content) => createFileDurably(path, content, 0o600)),
  );
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected');
  expect(failures.map((failure) => failure.reason.code)).toEqual(['EEXIST', 'EEXIST', 'EEXIST']);
  const kept = await readFile(path, 'utf8');
  await expect(createFileDurably(path, 'late', 0o600)).rejects.toMatchObject({ code: 'EEXIST' });
  expect(await readFile(path, 'utf8')).toBe(kept);
  expect(await readdir(directory)).toEqual(['secret.json']);
});

test('a folder in the way is an error that leaves nothing behind', async () => {
  await expect(writeFileDurably(join(directory, 'none', 'x'), 'x', 0o600)).rejects.toMatchObject({
    code: 'ENOENT',
  });
  expect(await readdir(directory)).toEqual([]);
});

test('exposure tells group from everybody', async () => {
  const path = join(directory, 'secret.json');
  for (const [mode, exposure] of [
    [0o600, 'none'],
    [0o640, 'group'],
    [0o604, 'others'],
    [0o666, 'others'],
  ] as const) {
    await writeFileDurably(path, 'x', mode);
    expect(await fileExposure(path)).toBe(exposure);
  }
});
