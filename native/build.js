/**
 * Compiles the addon: every C file under native/ on its own, several at a time, linked into one shared object where node-gyp-build
 * finds it (`build/Release/holdfast.node`). A C compiler is all it takes; node-api-headers comes with the packages. Plain JavaScript,
 * run by any Node.
 *
 *   node native/build.js [--sanitize] [--out FILE]      CC and CFLAGS as usual; without CC the first of cc, gcc, clang
 *
 * --sanitize adds ASan and UBSan; the addon then lies in a directory of its own, which HOLDFAST_PREBUILD=build/Sanitized makes
 * node-gyp-build look into (native/tools/sanitized.js runs things with it).
 *
 * A file's name ends in the instruction set it may use; its flags follow from that. Whether they may be used is decided at run time
 * (kernels/cpu.c), so nothing else may be compiled with them.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);

const clmul = ['-mssse3', '-msse4.1', '-mpclmul'];
const avx2 = [...clmul, '-mavx2', '-mbmi', '-mbmi2'];
const gfni = [...avx2, '-mgfni', '-mvpclmulqdq'];
const instructionFlags = {
  x64: {
    ssse3: clmul,
    avx2,
    avx2gfni: gfni,
    avx512: [...gfni, '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mprefer-vector-width=512'],
  },
  arm64: { neon: ['-mcpu=generic+crc+crypto'] },
};
const allSuffixes = Object.values(instructionFlags).flatMap((flags) => Object.keys(flags));

/** Sources for an architecture, each with the flags of its instruction set. */
export function sources(arch) {
  const flags = instructionFlags[arch] ?? {};
  return readdirSync(here, { recursive: true })
    .filter((name) => name.endsWith('.c') && !name.startsWith('tools'))
    .flatMap((name) => {
      const suffix = /_([a-z0-9]+)\.c$/.exec(name)?.[1];
      if (!allSuffixes.includes(suffix)) return [{ name, flags: [] }];
      return suffix in flags ? [{ name, flags: flags[suffix] }] : [];
    });
}

function includes() {
  const require = createRequire(join(root, 'package.json'));
  return dirname(require.resolve('node-api-headers/package.json')).concat('/include');
}

/** Runs a command to its end; when `quiet`, what it says is kept for the error. @throws when it fails */
export function run(command, args, { quiet = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', quiet ? 'pipe' : 'inherit'] });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text) => (said += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve();
      const reason = said.split('\n').find((line) => /error|fatal/i.test(line)) ?? said.split('\n', 1)[0];
      reject(new Error(`${command} ended with ${signal ?? code}${reason ? `: ${reason}` : ''}`));
    });
  });
}

/** Maps a list, as many entries at a time as there are processors; an error is thrown when all that were begun have ended. */
export async function inParallel(list, work) {
  const results = [];
  const entries = list.entries();
  const worker = async () => {
    for (const [i, entry] of entries) results[i] = await work(entry, i);
  };
  const ended = await Promise.allSettled(Array.from({ length: availableParallelism() }, worker));
  for (const { reason } of ended) if (reason) throw reason;
  return results;
}

export const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];

/** Where node-gyp-build looks, below `directory`. */
function releaseIn(directory) {
  return join(directory, 'build', 'Release', 'holdfast.node');
}

/** Arguments of the linker for an addon, whose undefined symbols node has. */
function linkFlags({ platform, sanitize, strip }) {
  return [
    '-shared',
    '-pthread',
    ...(platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : []),
    ...(sanitize ? sanitizers : []),
    ...(strip ? ['-s'] : []),
  ];
}

/**
 * Compiles and links. `cc` may be several words (`zig cc -target …`).
 * @returns the path of the addon
 */
export async function build({
  cc = findCompiler() ?? 'cc',
  platform = process.platform,
  arch = process.arch,
  out,
  sanitize = false,
  strip = false,
  quiet = true,
} = {}) {
  const [compiler, ...compilerArgs] = cc.split(' ').filter(Boolean);
  const target = out ?? releaseIn(sanitize ? join(root, 'build', 'Sanitized') : root);
  const objects = `${target}.objects-${process.pid}`;
  mkdirSync(objects, { recursive: true });
  const common = [
    ...compilerArgs,
    ...['-std=c11', '-D_GNU_SOURCE', '-DNAPI_VERSION=9', '-fPIC', '-fvisibility=hidden', '-pthread', '-g1'],
    ...['-Wall', '-Wextra', '-Werror=implicit-function-declaration', '-Werror=incompatible-pointer-types'],
    ...(sanitize ? ['-O1', '-fno-omit-frame-pointer', ...sanitizers] : ['-O3']),
    ...(process.env.CFLAGS ?? '').split(' ').filter(Boolean),
    `-I${includes()}`,
  ];
  try {
    const made = await inParallel(sources(arch), async ({ name, flags }) => {
      const object = join(objects, `${name.replaceAll(/[\\/]/g, '-')}.o`);
      if (!quiet) process.stderr.write(`${compiler} ${join('native', name)}\n`);
      await run(compiler, [...common, ...flags, '-c', join(here, name), '-o', object], { quiet });
      return object;
    });
    const linked = `${target}.tmp-${process.pid}`;
    const linkArgs = [...compilerArgs, ...linkFlags({ platform, sanitize, strip }), '-o', linked, ...made];
    await run(compiler, platform === 'linux' ? [...linkArgs, '-ldl'] : linkArgs, { quiet });
    renameSync(linked, target);
  } finally {
    rmSync(objects, { recursive: true, force: true });
  }
  return target;
}

/** Whether the addon is there and no source is newer. */
export function isBuilt(out = releaseIn(root)) {
  if (!existsSync(out)) return false;
  const madeMs = statSync(out).mtimeMs;
  return readdirSync(here, { recursive: true })
    .filter((name) => /\.(c|h|js)$/.test(name) && !name.startsWith('tools'))
    .every((name) => statSync(join(here, name)).mtimeMs <= madeMs);
}

/** Whether `cc`, which may be several words, is a compiler that runs. */
export function hasCompiler(cc = findCompiler()) {
  const [command, ...args] = (cc ?? '').split(' ').filter(Boolean);
  return (
    command !== undefined && spawnSync(command, [...args, '--version'], { stdio: 'ignore' }).status === 0
  );
}

/** CC, or the first usual name that runs; undefined where none does. */
export function findCompiler() {
  const names = process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang'];
  return names.find((name) => hasCompiler(name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const out = args.includes('--out') ? args[args.indexOf('--out') + 1] : undefined;
  const made = await build({ sanitize: args.includes('--sanitize'), quiet: false, ...(out && { out }) });
  process.stderr.write(`${relative(root, made)}\n`);
}
