import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { systemRandom } from '../../src/base/random.ts';
import { createIdentityFile, loadIdentityFile } from '../../src/base/tls/identity.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-identity-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the file of an identity', () => {
  it('is made once, mode 0600, and holds the seed', async () => {
    const path = join(folder, 'identity.key');
    expect(await loadIdentityFile(path)).toBeUndefined();
    const { seed } = await createIdentityFile(path, systemRandom);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await loadIdentityFile(path)).toEqual({ seed, warnings: [] });
    await expect(createIdentityFile(path, systemRandom)).rejects.toThrow(
      'already there and is never replaced',
    );
  });

  it('is refused with the reason when it is not what it should be', async () => {
    const good = { product: 'holdfast', kind: 'identity', format: 1, seed: 'ab'.repeat(32) };
    const wrong: [unknown, string][] = [
      ['{', 'is not JSON'],
      [{ ...good, kind: 'other' }, 'is not what it should be: identity of Holdfast'],
      [{ ...good, format: '1' }, '"format" is not a whole number'],
      [{ ...good, format: 2 }, 'written by a newer Holdfast'],
      [{ ...good, seed: 'AB'.repeat(32) }, '"seed" is not 64 lower-case hexadecimal digits'],
      [null, 'is not what it should be: identity of Holdfast'],
    ];
    for (const [document, reason] of wrong) {
      const path = join(folder, 'wrong.key');
      const text = typeof document === 'string' ? document : JSON.stringify(document);
      writeFileSync(path, text, { mode: 0o600 });
      await expect(loadIdentityFile(path)).rejects.toThrow(`${path}: `);
      await expect(loadIdentityFile(path)).rejects.toThrow(reason);
    }
  });

  it('is refused when everybody may read it', async () => {
    const path = join(folder, 'open.key');
    await createIdentityFile(path, systemRandom);
    chmodSync(path, 0o644);
    await expect(loadIdentityFile(path)).rejects.toThrow('open to every user of this machine');
    chmodSync(path, 0o640);
    expect((await loadIdentityFile(path))?.warnings).toHaveLength(1);
  });
});
