/** What `npm start` does about the native kernels before anything else: in a copy of what it needs, with compilers that only pretend. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** Says its version, and makes the file behind -o. */
const pretending = `#!/bin/sh
[ "$1" = --version ] && exit 0
while [ $# -gt 0 ]; do [ "$1" = -o ] && echo "$$" > "$2"; shift; done
`;
const failing = `#!/bin/sh
[ "$1" = --version ] && exit 0
echo "x.c:1: fatal error: stdlib.h: No such file or directory" >&2
exit 1
`;

describe.skipIf(process.platform === 'win32')('before npm start, the native kernels', () => {
  let root: string;
  const at = (...names: string[]) => join(root, ...names);
  const addon = () => at('build', 'Release', 'holdfast.node');
  const why = () => readFileSync(at('build', 'why-portable'), 'utf8');

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'holdfast-prepare-'));
    for (const name of ['package.json', 'package-lock.json', 'native', 'scripts']) {
      cpSync(join(repository, name), at(name), { recursive: true });
    }
    mkdirSync(at('node_modules'));
    for (const name of ['.bin', 'node', 'node-api-headers', 'node-gyp-build']) {
      symlinkSync(join(repository, 'node_modules', name), at('node_modules', name));
    }
    const lock = createHash('sha256')
      .update(readFileSync(at('package-lock.json')))
      .digest('hex');
    writeFileSync(at('node_modules', '.holdfast-installed'), lock);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function compiler(script: string): string {
    const path = at('fakecc');
    writeFileSync(path, script);
    chmodSync(path, 0o755);
    return path;
  }

  async function prepare(environment: Readonly<Record<string, string>>): Promise<string> {
    const { CC: _, HOLDFAST_NATIVE: __, HOLDFAST_PREBUILD: ___, ...rest } = process.env;
    const { stderr } = await run(process.execPath, [at('scripts', 'prepare.js')], {
      env: { ...rest, ...environment },
      cwd: root,
    });
    return stderr;
  }

  test('are built once, which is said, and again when a source is newer', async () => {
    const CC = compiler(pretending);
    expect(await prepare({ CC })).toMatch(/^holdfast: native kernels built in \d+\.\d s\n$/);
    expect(await prepare({ CC })).toBe('');
    const later = new Date(Date.now() + 10_000);
    utimesSync(at('native', 'kernels', 'cpu.h'), later, later);
    expect(await prepare({ CC })).toMatch(/built in/);
    expect(readdirSync(dirname(addon()))).toEqual(['holdfast.node']);
  });

  test('are built by two starts at once', async () => {
    const CC = compiler(pretending);
    await Promise.all([prepare({ CC }), prepare({ CC }), prepare({ CC })]);
    expect(readdirSync(dirname(addon()))).toEqual(['holdfast.node']);
  });

  test.each([
    ['CC names none', { CC: '/nonexistent' }],
    ['there is none on the path', { PATH: '/nonexistent' }],
  ])('are portable when %s, and it says how much slower', async (_, environment) => {
    expect(await prepare(environment)).toMatch(
      /^holdfast: no C compiler: running on portable kernels\. .* two thirds of the speed .*\n$/,
    );
    expect(existsSync(addon())).toBe(false);
    expect(why()).toBe('no C compiler when it was installed\n');
  });

  test('are portable when the compiler fails, and it says why in one line', async () => {
    expect(await prepare({ CC: compiler(failing) })).toMatch(
      /^holdfast: the C compiler failed \(.*: x\.c:1: fatal error: stdlib\.h.*\): running on portable kernels.*\n$/,
    );
    expect(readdirSync(at('build', 'Release'))).toEqual([]);
    expect(await prepare({ CC: compiler(pretending) })).toMatch(/built in/);
    expect(existsSync(at('build', 'why-portable'))).toBe(false);
  });

  test('of an older source go when they cannot be built again', async () => {
    await prepare({ CC: compiler(pretending) });
    const later = new Date(Date.now() + 10_000);
    utimesSync(at('native', 'engine', 'pool.c'), later, later);
    await prepare({ CC: '/nonexistent' });
    expect(existsSync(addon())).toBe(false);
  });

  test('are left alone with HOLDFAST_NATIVE=off, and with a prebuilt addon', async () => {
    expect(await prepare({ CC: compiler(pretending), HOLDFAST_NATIVE: 'off' })).toBe('');
    expect(existsSync(at('build'))).toBe(false);
    const prebuilds = at('prebuilds', `${process.platform}-${process.arch}`);
    mkdirSync(prebuilds, { recursive: true });
    writeFileSync(join(prebuilds, 'holdfast.node'), '');
    expect(await prepare({ CC: compiler(pretending) })).toBe('');
    const later = new Date(Date.now() + 10_000);
    utimesSync(at('native', 'engine', 'pool.c'), later, later);
    expect(await prepare({ CC: '/nonexistent' })).toBe('');
    expect(existsSync(at('build'))).toBe(false);
  });

  test('are built by the oldest Node that may run npm', async (context) => {
    const old = ['/usr/bin/node', '/usr/local/bin/node'].find(
      (path) =>
        existsSync(path) && execFileSync(path, ['--version'], { encoding: 'utf8' }).startsWith('v20.'),
    );
    if (old === undefined) return context.skip();
    const { stderr } = await run(old, [at('scripts', 'prepare.js')], {
      env: { ...process.env, CC: compiler(pretending), HOLDFAST_NATIVE: 'auto' },
    });
    expect(stderr).toMatch(/built in/);
  });
});
