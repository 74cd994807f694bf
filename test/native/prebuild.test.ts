/** What `npm run prebuild` makes, as far as the compilers of this machine go, and what is published. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { native } from '../../src/base/native.ts';

interface Target {
  readonly name: string;
  readonly platform: string;
  readonly arch: string;
  readonly libc?: string;
}

interface Builder {
  readonly hasCompiler: () => boolean;
}

interface Prebuilder {
  readonly prebuild: (
    names: string[],
    directory: string,
  ) => Promise<{ readonly made: readonly Target[]; readonly missing: readonly Target[] }>;
  readonly prebuildPath: (target: Target, directory: string) => string;
}

const load = (path: string): Promise<unknown> => import(new URL(path, import.meta.url).href);
const { hasCompiler } = (await load('../../native/build.js')) as Builder;
const { prebuild, prebuildPath } = (await load('../../scripts/prebuild.js')) as Prebuilder;

const root = fileURLToPath(new URL('../..', import.meta.url));
const reason = process.platform !== 'linux' ? 'Linux only' : hasCompiler() ? undefined : 'no compiler';
const PREBUILD_TIMEOUT_MS = 300_000;

/** e_machine of an ELF file. */
const machines: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

describe.skipIf(reason)(`prebuilds${reason ? ` (skipped: ${reason})` : ''}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-prebuild-'));
  let made: readonly Target[] = [];
  let missing: readonly Target[] = [];
  beforeAll(async () => {
    ({ made, missing } = await prebuild([], directory));
  }, PREBUILD_TIMEOUT_MS);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('each target is made or named', () => {
    const names = [...made, ...missing].map(({ name }) => name).sort();
    expect(names).toEqual(['linux-arm64-glibc', 'linux-arm64-musl', 'linux-x64-glibc', 'linux-x64-musl']);
  });

  test('each is of its architecture, and only those for glibc need it', () => {
    for (const target of made) {
      const elf = readFileSync(prebuildPath(target, directory));
      expect(elf.readUInt16LE(18), target.name).toBe(machines[target.arch]);
      expect(elf.includes('GLIBC_'), target.name).toBe(target.libc === 'glibc');
      expect(elf.includes('napi_register_module_v1'), target.name).toBe(true);
    }
  });

  test('node-gyp-build finds the one for this process, and it works', (context) => {
    if (!made.some(({ name }) => name === `linux-${process.arch}-glibc`)) context.skip();
    const script = `const { native } = await import(${JSON.stringify(join(root, 'src/base/native.ts'))});
      const { addon } = native();
      console.log(addon.levels().join(), addon.crc32(Buffer.from('123456789')).toString(16))`;
    const { HOLDFAST_NATIVE: _, ...environment } = process.env;
    const env = { ...environment, HOLDFAST_PREBUILD: directory };
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      env,
      encoding: 'utf8',
    });
    const { addon } = native();
    if (addon === undefined) return expect(output).toMatch(/^portable.* cbf43926\n$/);
    // The levels of this processor are found whatever compiled it.
    expect(output).toBe(`${addon.levels().join()} cbf43926\n`);
  });

  test.each(['glibc', 'musl'])('node-gyp-build takes the tag %s', (libc) => {
    const target = [...made].find((one) => one.libc === libc && one.arch === process.arch);
    if (target === undefined) return;
    const script = "console.log(require('node-gyp-build').path(process.cwd()))";
    const env = { ...process.env, HOLDFAST_PREBUILD: directory, LIBC: libc };
    const output = execFileSync(process.execPath, ['-e', script], { env, cwd: root, encoding: 'utf8' });
    expect(output.trim()).toBe(prebuildPath(target, directory));
  });
});

test('a published package has the sources, what starts it, and the prebuilds', () => {
  const packed = spawnSync('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], {
    cwd: root,
    encoding: 'utf8',
  });
  const [{ files }] = JSON.parse(packed.stdout) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  for (const path of [
    'bin/holdfast.js',
    'src/cli/main.ts',
    'native/build.js',
    'native/kernels/cpu.c',
    'scripts/prepare.js',
  ]) {
    expect(paths).toContain(path);
  }
  expect(paths.some((path) => /^(test|bench|build|\.ci)\//.test(path))).toBe(false);
  const hasPrebuilds = existsSync(join(root, 'prebuilds'));
  expect(paths.some((path) => path.startsWith('prebuilds/'))).toBe(hasPrebuilds);
});
