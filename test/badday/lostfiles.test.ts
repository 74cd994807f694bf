/**
 * Files of the data directory that are lost or broken: the start says which, ends with code 1, and makes nothing anew that would finish
 * what the loss began.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemRandom } from '../../src/base/random.ts';
import { createBundle } from '../../src/crypto/bundle.ts';
import { expectRefused, Original } from './original.ts';

const original = new Original();
beforeAll(() => original.make());
afterAll(() => original.end());

describe('lost and broken files', () => {
  test.each([
    ['format.json', 'not json', /format\.json: .*JSON/],
    ['format.json', 'null', /format\.json: "format" is not a whole number/],
    ['bundle.json', 'not json', /bundle\.json: is not JSON/],
    ['bundle.json', '', /bundle\.json: is not JSON/],
    [
      'bundle.json',
      '{"product":"holdfast","kind":"gateway-bundle","format":1}',
      /bundle\.json: "generation"/,
    ],
    ['credentials.json', 'not json', /credentials\.json: is not JSON/],
    ['credentials.json', '{"accessKeyId":"AK"}', /credentials\.json: the access key needs/],
    ['credentials.json', 'null', /credentials\.json: the access key needs/],
  ])('%s as %j is refused and not replaced', async (name, text, why) => {
    const data = original.copy();
    const path = join(data, name);
    writeFileSync(path, text, { mode: 0o600 });
    await expectRefused(data, why);
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  test.each([
    ['format.json', /format\.json is missing beside .*put it back from a copy/],
    ['bundle.json', /bundle\.json: is missing; .*put it back from a copy/],
    ['metadata', /metadata is empty, but there are keys and nodes: put the metadata back/],
  ])('%s lost is refused until it is back', async (name, why) => {
    const data = original.copy();
    const path = join(data, name);
    const away = join(data, 'away');
    renameSync(path, away);
    await expectRefused(data, why);
    if (name !== 'metadata') expect(existsSync(path)).toBe(false);
    rmSync(path, { recursive: true, force: true });
    renameSync(away, path);
    await original.expectServes(data);
  });

  test('keys and metadata lost together do not get new keys beside the old nodes', async () => {
    const data = original.copy();
    rmSync(join(data, 'bundle.json'));
    rmSync(join(data, 'metadata'), { recursive: true });
    await expectRefused(data, /bundle\.json: is missing/);
    expect(existsSync(join(data, 'bundle.json'))).toBe(false);
  });

  test('keys of another grid are refused', async () => {
    const data = original.copy();
    rmSync(join(data, 'bundle.json'));
    await createBundle(join(data, 'bundle.json'), systemRandom);
    await expectRefused(data, /belong to different grids/);
  });

  test('open to everybody, the keys are refused', async () => {
    const data = original.copy();
    const path = join(data, 'bundle.json');
    const text = readFileSync(path);
    rmSync(path);
    writeFileSync(path, text, { mode: 0o644 });
    await expectRefused(data, /bundle\.json: .*open to every user of this machine; run chmod 600/);
  });
});
