/**
 * Compiles a program of this directory together with the kernels, each with the flags of its instruction set. Plain JavaScript.
 *
 *   node native/tools/build.js NAME OUT [LIBRARY…]      for instance: isal_bench build/isal_bench isal
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCompiler, run, sources } from '../build.js';

const here = dirname(fileURLToPath(import.meta.url));
const native = dirname(here);

/** @returns the path of the program. @throws when the compiler or a library is missing */
export async function buildTool({
  name,
  out,
  libraries = [],
  cc = findCompiler() ?? 'cc',
  arch = process.arch,
}) {
  const [compiler, ...compilerArgs] = cc.split(' ').filter(Boolean);
  const objects = mkdtempSync(join(tmpdir(), 'holdfast-tool-'));
  const common = [...compilerArgs, '-std=c11', '-D_GNU_SOURCE', '-O3', '-pthread', '-Wall', '-Wextra'];
  const kernels = sources(arch).filter((source) => source.name.startsWith('kernels'));
  // The program itself may use whatever the processor in front of it has.
  const main = { name: join('tools', `${name}.c`), flags: ['-march=native'] };
  try {
    const made = [];
    for (const source of [...kernels, main]) {
      const object = join(objects, `${made.length}.o`);
      await run(compiler, [...common, ...source.flags, '-c', join(native, source.name), '-o', object]);
      made.push(object);
    }
    mkdirSync(dirname(out), { recursive: true });
    const linked = [...made, ...libraries.map((library) => `-l${library}`), '-ldl'];
    await run(compiler, [...compilerArgs, '-pthread', '-o', out, ...linked]);
  } finally {
    rmSync(objects, { recursive: true, force: true });
  }
  return out;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name, out, ...libraries] = process.argv.slice(2);
  process.stderr.write(`${await buildTool({ name, out, libraries })}\n`);
}
