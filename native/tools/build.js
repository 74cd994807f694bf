/**
 * Compiles a program of this directory together with the kernels, each with the flags of its instruction set. Plain JavaScript.
 *
 *   node native/tools/build.js [--sanitize] [--static] [--arch=ARCH] NAME OUT [LIBRARY…]
 *
 * For instance `isal_bench build/isal_bench isal`, or with CC=aarch64-linux-gnu-gcc `--static --arch=arm64 kernels_check build/check`.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCompiler, inParallel, run, sanitizers, sources } from '../build.js';

const here = dirname(fileURLToPath(import.meta.url));
const native = dirname(here);

/** A program is one file, which may use whatever the processor in front of it has, or a directory, which comes with the engine too. */
function sourcesOf(name, arch) {
  const isDirectory = existsSync(join(here, name));
  const parts = isDirectory ? ['kernels', 'engine'] : ['kernels'];
  const own = isDirectory
    ? readdirSync(join(here, name)).filter((file) => file.endsWith('.c'))
    : [`${name}.c`];
  return [
    ...sources(arch).filter((source) => parts.some((part) => source.name.startsWith(part))),
    ...own.map((file) => ({
      name: isDirectory ? join('tools', name, file) : join('tools', file),
      flags: isDirectory ? [] : ['-march=native'],
    })),
  ];
}

/** @returns the path of the program. @throws when the compiler or a library is missing */
export async function buildTool({
  name,
  out,
  libraries = [],
  cc = findCompiler() ?? 'cc',
  arch = process.arch,
  sanitize = false,
  isStatic = false,
}) {
  const [compiler, ...compilerArgs] = cc.split(' ').filter(Boolean);
  const objects = mkdtempSync(join(tmpdir(), 'holdfast-tool-'));
  const optimise = sanitize ? ['-O1', '-g1', '-fno-omit-frame-pointer', ...sanitizers] : ['-O3'];
  const common = [...compilerArgs, '-std=c11', '-D_GNU_SOURCE', ...optimise, '-pthread', '-Wall', '-Wextra'];
  try {
    const made = await inParallel(sourcesOf(name, arch), async (source, i) => {
      const object = join(objects, `${i}.o`);
      await run(compiler, [...common, ...source.flags, '-c', join(native, source.name), '-o', object]);
      return object;
    });
    mkdirSync(dirname(out), { recursive: true });
    const how = [...(sanitize ? sanitizers : []), ...(isStatic ? ['-static'] : [])];
    const linked = [...made, ...libraries.map((library) => `-l${library}`), '-ldl'];
    await run(compiler, [...compilerArgs, '-pthread', ...how, '-o', out, ...linked]);
  } finally {
    rmSync(objects, { recursive: true, force: true });
  }
  return out;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
  const [name, out, ...libraries] = process.argv.slice(2).filter((argument) => !flags.includes(argument));
  const arch = flags.find((flag) => flag.startsWith('--arch='))?.slice('--arch='.length) ?? process.arch;
  const [sanitize, isStatic] = ['--sanitize', '--static'].map((flag) => flags.includes(flag));
  process.stderr.write(`${await buildTool({ name, out, libraries, arch, sanitize, isStatic })}\n`);
}
