/** What LevelDB's failures look like to the layers above, with the real thing in trouble. */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLevel } from '../../src/metadata/level.ts';

const a = Buffer.from('a');
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-level-'));
});

afterAll(async () => rm(directory, { recursive: true, force: true }));

function run(command: string, args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (piece) => (output += piece));
    child.stderr.on('data', (piece) => (output += piece));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

describe('LevelDB in trouble', () => {
  it('says that the directory is in use', async () => {
    const path = join(directory, 'busy');
    const engine = await openLevel(path);
    await expect(openLevel(path)).rejects.toMatchObject({
      code: 'DataDirectoryBusy',
      message: `${path} is in use by another process`,
    });
    await engine.close();
    await (await openLevel(path)).close();
  });

  it('says that it is damaged', async () => {
    const path = join(directory, 'damaged');
    const engine = await openLevel(path);
    await engine.batch([{ type: 'put', key: a, value: a }], { sync: true });
    await engine.close();
    for (const name of await readdir(path)) {
      if (!name.startsWith('MANIFEST')) continue;
      const manifest = await readFile(join(path, name));
      manifest.fill(0x55, 10, 30);
      await writeFile(join(path, name), manifest);
    }
    const error = await openLevel(path).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'DataDirectoryInvalid' });
    expect(String(error)).toContain(`the metadata in ${path} is damaged: `);
  });

  it('says that it cannot be opened', async () => {
    const path = join(directory, 'file');
    await writeFile(path, 'not a directory');
    await expect(openLevel(join(path, 'below'))).rejects.toMatchObject({ code: 'DataDirectoryInvalid' });
  });

  it.skipIf(process.platform !== 'linux')(
    'reads on while the disk takes no more, and loses no acknowledged batch once it does again',
    async () => {
      const path = join(directory, 'full');
      const program = new URL('./fixtures/fulldisk.ts', import.meta.url).pathname;
      const limit = 'ulimit -S -f 512 && exec "$0" "$@"';
      const { code, output } = await run('bash', ['-c', limit, process.execPath, program, path]);
      expect(output).toContain('failed ServiceUnavailable');
      expect(output).toContain('all there');
      expect(code, output).toBe(0);
    },
  );
});
