/**
 * Compiles the addon: every C file under native/ on its own, several at a time, linked into one shared object where node-gyp-build
 * finds it (`build/Release/holdfast.node`). A C compiler is all it takes; node-api-headers comes with the packages. Plain JavaScript,
 * run by any Node.
 *
 *   node native/build.js [--sanitize] [--out FILE]      CC and CFLAGS as usual; --sanitize: ASan and UBSan
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
  arm64: { neon: ['-march=armv8-a+simd+crc+crypto'] },
};
const allSuffixes = Object.values(instructionFlags).flatMap((flags) => Object.keys(flags));

/** Sources for an architecture, each with the flags of its instruction set. */
function sources(arch) {
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

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${command} ended with ${code}`))));
  });
}

/**
 * Compiles and links. `cc` may be several words (`zig cc -target …`).
 * @returns the path of the addon
 */
export async function build({
  cc = process.env.CC ?? 'cc',
  arch = process.arch,
  out,
  sanitize = false,
  quiet = true,
} = {}) {
  const [compiler, ...compilerArgs] = cc.split(' ').filter(Boolean);
  const target = out ?? join(root, 'build', sanitize ? 'Sanitized' : 'Release', 'holdfast.node');
  const objects = `${target}.objects-${process.pid}`;
  mkdirSync(objects, { recursive: true });
  const common = [
    ...compilerArgs,
    ...['-std=c11', '-D_GNU_SOURCE', '-DNAPI_VERSION=9', '-fPIC', '-fvisibility=hidden', '-pthread', '-g1'],
    ...['-Wall', '-Wextra', '-Werror=implicit-function-declaration', '-Werror=incompatible-pointer-types'],
    ...(sanitize
      ? ['-O1', '-fno-omit-frame-pointer', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined']
      : ['-O3']),
    ...(process.env.CFLAGS ?? '').split(' ').filter(Boolean),
    `-I${includes()}`,
  ];
  try {
    const waiting = sources(arch).map(({ name, flags }) => {
      const object = join(objects, `${name.replaceAll(/[\\/]/g, '-')}.o`);
      return { object, args: [...common, ...flags, '-c', join(here, name), '-o', object] };
    });
    const made = waiting.map(({ object }) => object);
    const worker = async () => {
      for (let job = waiting.shift(); job; job = waiting.shift()) {
        if (!quiet) process.stderr.write(`${compiler} ${relative(root, job.args.at(-3))}\n`);
        await run(compiler, job.args);
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
    const undefinedSymbols = process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : [];
    const sanitizers = sanitize ? ['-fsanitize=address,undefined'] : [];
    const linked = `${target}.tmp-${process.pid}`;
    await run(compiler, [
      ...compilerArgs,
      ...['-shared', '-pthread', ...undefinedSymbols, ...sanitizers, '-o', linked],
      ...made,
      ...(process.platform === 'linux' ? ['-ldl'] : []),
    ]);
    renameSync(linked, target);
  } finally {
    rmSync(objects, { recursive: true, force: true });
  }
  return target;
}

/** Whether the addon is there and no source is newer. */
export function isBuilt(out = join(root, 'build', 'Release', 'holdfast.node')) {
  if (!existsSync(out)) return false;
  const madeMs = statSync(out).mtimeMs;
  return readdirSync(here, { recursive: true })
    .filter((name) => /\.(c|h|js)$/.test(name))
    .every((name) => statSync(join(here, name)).mtimeMs <= madeMs);
}

/** Whether `cc` is a compiler that runs. */
export function hasCompiler(cc = process.env.CC ?? 'cc') {
  const [command] = cc.split(' ');
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const out = args.includes('--out') ? args[args.indexOf('--out') + 1] : undefined;
  const made = await build({ sanitize: args.includes('--sanitize'), quiet: false, ...(out && { out }) });
  process.stderr.write(`${relative(root, made)}\n`);
}
