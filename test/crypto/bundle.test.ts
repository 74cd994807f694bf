import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemRandom } from '../../src/base/random.ts';
import { createBundle, encodeBundle, loadBundle, newBundle, parseBundle } from '../../src/crypto/bundle.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-bundle-'));
  path = join(directory, 'bundle.json');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('a bundle is made once, mode 0600, and found again', async () => {
  const made = await createBundle(path, systemRandom);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await loadBundle(path)).toEqual({ bundle: made, warnings: [] });
  expect(made.generation).toBe(1);
  expect(made.bootstrap).toBeUndefined();
  const text = await readFile(path, 'utf8');
  await expect(createBundle(path, systemRandom)).rejects.toMatchObject({
    code: 'DataDirectoryInvalid',
    message: `${path}: is already there and is never replaced`,
  });
  expect(await readFile(path, 'utf8')).toBe(text);
  expect(await readdir(directory)).toEqual(['bundle.json']);
});

test('two bundles share nothing', () => {
  const [a, b] = [newBundle(systemRandom), newBundle(systemRandom)];
  const secrets = [a, b].flatMap(({ gridId, gridSecret, identitySeed }) => [
    gridId,
    gridSecret,
    identitySeed,
  ]);
  expect(new Set(secrets.map((secret) => secret.toString('hex'))).size).toBe(6);
});

test('bootstrap names, key and recipients survive', () => {
  const bytes = (fill: number) => Buffer.alloc(32, fill);
  const bundle = {
    ...newBundle(systemRandom),
    recipients: [Buffer.alloc(1665, 9)],
    bootstrap: { names: [bytes(1), bytes(2)] as const, key: bytes(3) },
  };
  expect(parseBundle(encodeBundle(bundle), 'x')).toEqual(bundle);
});

test('a file that everybody may read is refused, and one open to its group is a warning', async () => {
  await createBundle(path, systemRandom);
  await chmod(path, 0o644);
  await expect(loadBundle(path)).rejects.toMatchObject({
    code: 'DataDirectoryInvalid',
    message: expect.stringContaining(`chmod 600 ${path}`),
  });
  await chmod(path, 0o660);
  expect((await loadBundle(path)).warnings).toEqual([expect.stringContaining('open to its group')]);
});

test('a missing file says so', async () => {
  await expect(loadBundle(path)).rejects.toMatchObject({
    code: 'DataDirectoryInvalid',
    message: expect.stringContaining('is missing'),
  });
});

test('a folder that cannot be written is one clear line', async () => {
  const inside = join(directory, 'none', 'bundle.json');
  await expect(createBundle(inside, systemRandom)).rejects.toMatchObject({
    code: 'DataDirectoryInvalid',
    message: expect.stringContaining('cannot be written'),
  });
});

test('what is wrong is named with its field and never with its value', async () => {
  const good = JSON.parse(encodeBundle(newBundle(systemRandom)));
  const secret = good.gridSecret as string;
  const cases: [unknown, string][] = [
    [{ ...good, product: 'other' }, 'is not a gateway bundle'],
    [{ ...good, kind: 'node-identity' }, 'is not a gateway bundle'],
    [{ ...good, format: '1' }, '"format"'],
    [{ ...good, format: 0 }, '"format"'],
    [{ ...good, gridId: good.gridSecret }, '"gridId" is not 32'],
    [{ ...good, gridSecret: secret.slice(2) }, '"gridSecret" is not 64'],
    [{ ...good, gridSecret: secret.toUpperCase().replace(/\d/g, 'A') }, '"gridSecret"'],
    [{ ...good, gridSecret: `${secret.slice(2)}zz` }, '"gridSecret"'],
    [{ ...good, identitySeed: undefined }, '"identitySeed"'],
    [{ ...good, generation: 0 }, '"generation"'],
    [{ ...good, generation: 65_536 }, '"generation"'],
    [{ ...good, recipients: 'none' }, '"recipients"'],
    [{ ...good, recipients: [1] }, '"recipients"'],
    [{ ...good, bootstrap: null }, '"bootstrap.names"'],
    [{ ...good, bootstrap: { names: [secret], key: secret } }, '"bootstrap.names"'],
    [{ ...good, bootstrap: { names: [secret, secret] } }, '"bootstrap.key"'],
    [[good], 'is not a JSON object'],
    ['x', 'is not a JSON object'],
  ];
  for (const [document, message] of cases) {
    const text = JSON.stringify(document);
    const error = catchError(() => parseBundle(text, '/data/bundle.json'));
    expect(error).toMatchObject({ code: 'DataDirectoryInvalid' });
    expect(error.message).toContain('/data/bundle.json: ');
    expect(error.message).toContain(message);
    expect(error.message.toLowerCase()).not.toContain(secret.slice(2, 20));
  }
  expect(() => parseBundle(JSON.stringify({ ...good, format: 2 }), 'x')).toThrow(
    expect.objectContaining({ code: 'FormatTooNew' }),
  );
});

test('a torn file is an error without its text', async () => {
  const text = encodeBundle(newBundle(systemRandom));
  const secret = JSON.parse(text).gridSecret as string;
  for (const cut of [0, 1, 40, text.length - 3]) {
    await writeFile(path, text.slice(0, cut), { mode: 0o600 });
    const error = await loadBundle(path).catch((reason: Error) => reason);
    expect(error).toMatchObject({ code: 'DataDirectoryInvalid', message: `${path}: is not JSON` });
    expect(JSON.stringify(error)).not.toContain(secret.slice(0, 8));
  }
});

function catchError(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  return expect.fail('nothing was thrown');
}
