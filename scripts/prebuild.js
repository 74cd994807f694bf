/**
 * `npm run prebuild`: the addon for every platform that is published, where node-gyp-build finds it:
 * prebuilds/<platform>-<arch>/holdfast.<libc>.node. Without arguments the four of Linux on Linux and the two of macOS on macOS (.github/workflows/
 * prebuild.yml puts them together); or those that are named, as `linux-arm64-musl`. Ends with 1 when one could not be made.
 *
 * zig comes first where there is one (`zig`, or the ziglang package of PyPI): it links against a glibc old enough for any distribution that
 * Node 24 runs on. A compiler of the system takes its own glibc, which what it makes then needs.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, findCompiler, hasCompiler } from '../native/build.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** The oldest that Node 24's own binaries run with. */
const GLIBC = '2.28';

const targets = [
  {
    platform: 'linux',
    arch: 'x64',
    libc: 'glibc',
    zig: `x86_64-linux-gnu.${GLIBC}`,
    cross: 'x86_64-linux-gnu-gcc',
  },
  {
    platform: 'linux',
    arch: 'arm64',
    libc: 'glibc',
    zig: `aarch64-linux-gnu.${GLIBC}`,
    cross: 'aarch64-linux-gnu-gcc',
  },
  { platform: 'linux', arch: 'x64', libc: 'musl', zig: 'x86_64-linux-musl', cross: 'x86_64-linux-musl-gcc' },
  {
    platform: 'linux',
    arch: 'arm64',
    libc: 'musl',
    zig: 'aarch64-linux-musl',
    cross: 'aarch64-linux-musl-gcc',
  },
  { platform: 'darwin', arch: 'x64', cross: 'cc -arch x86_64' },
  { platform: 'darwin', arch: 'arm64', cross: 'cc -arch arm64' },
].map((target) => ({
  ...target,
  name: [target.platform, target.arch, target.libc].filter(Boolean).join('-'),
}));

/** Where node-gyp-build looks for a target, below `directory`. */
export function prebuildPath({ platform, arch, libc }, directory = root) {
  const file = ['holdfast', libc, 'node'].filter(Boolean).join('.');
  return join(directory, 'prebuilds', `${platform}-${arch}`, file);
}

function findZig() {
  const candidates = [process.env.ZIG, 'zig', 'python3 -m ziglang'].filter(Boolean);
  return candidates.find((command) => {
    const [program, ...args] = command.split(' ');
    return spawnSync(program, [...args, 'version'], { stdio: 'ignore' }).status === 0;
  });
}

/** glibc or musl, of the compiler and the libraries of this machine; `undefined` elsewhere than on Linux. */
function hostLibc() {
  if (process.platform !== 'linux') return undefined;
  return process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}

/** Compilers that could make a target, the best one first. */
function compilersFor(target, zig) {
  const { platform, arch, libc } = target;
  const isHost = platform === process.platform && arch === process.arch && libc === hostLibc();
  const forMusl = libc === 'musl' && arch === process.arch && platform === process.platform;
  return [
    ...(zig && target.zig ? [`${zig} cc -target ${target.zig}`] : []),
    ...(isHost ? [findCompiler()] : []),
    ...(platform === 'darwin' && process.platform !== 'darwin' ? [] : [target.cross]),
    ...(forMusl ? ['musl-gcc'] : []),
  ].filter((cc) => (zig && cc.startsWith(zig)) || hasCompiler(cc));
}

/** @returns what made it, or undefined with the reasons said */
async function make(target, zig, directory) {
  const out = prebuildPath(target, directory);
  mkdirSync(dirname(out), { recursive: true });
  for (const cc of compilersFor(target, zig)) {
    try {
      await build({
        cc,
        platform: target.platform,
        arch: target.arch,
        out,
        strip: target.platform === 'linux',
      });
      return cc;
    } catch (error) {
      process.stderr.write(`${target.name}: ${error.message}\n`);
    }
  }
  return undefined;
}

/**
 * Makes targets (by name; the default is those of this platform).
 * @returns the targets that were made and those that were not
 */
export async function prebuild(names, directory = root) {
  const unknown = names.filter((name) => !targets.some((target) => target.name === name));
  if (unknown.length > 0) {
    throw new Error(
      `no such target: ${unknown.join(', ')}; there are ${targets.map(({ name }) => name).join(', ')}`,
    );
  }
  const zig = findZig();
  const [made, missing] = [[], []];
  for (const target of targets) {
    const isWanted = names.length > 0 ? names.includes(target.name) : target.platform === process.platform;
    if (!isWanted) continue;
    const cc = await make(target, zig, directory);
    if (cc === undefined) missing.push(target);
    else {
      made.push(target);
      process.stderr.write(`${relative(root, prebuildPath(target, directory))} by ${cc}\n`);
    }
  }
  return { made, missing };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { missing } = await prebuild(process.argv.slice(2));
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(', ');
    process.stderr.write(`could not be made, for want of a compiler that works: ${names}\n`);
    process.exitCode = 1;
  }
}
