/**
 * native/tools/kernels_check, which holds every kernel against its portable twin and tries the engine: under AddressSanitizer and
 * UndefinedBehaviorSanitizer, under ThreadSanitizer, as another compiler has it, and for arm64 under an emulator.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const builder = fileURLToPath(new URL('../../native/tools/build.js', import.meta.url));
const BUILD_TIMEOUT_MS = 180_000;
const compiler = process.env['CC'] ?? 'cc';
const cross = 'aarch64-linux-gnu-gcc';
const emulators = ['qemu-aarch64', 'qemu-aarch64-static'];

const runs = (command: string) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

/** Why there is nothing to run under sanitizers, or undefined. */
function withoutSanitizers(): string | undefined {
  const [command, ...args] = compiler.split(' ') as [string, ...string[]];
  if (!runs(command)) return `no compiler (${command})`;
  const probe = [...args, '-x', 'c', '-', '-fsanitize=address,undefined', '-o', '/dev/null'];
  const { status } = spawnSync(command, probe, { input: 'int main(void) { return 0; }\n' });
  return status === 0 ? undefined : `${command} has no sanitizers`;
}

/** Why there is nothing to run under ThreadSanitizer, whose programs not every kernel of the system starts, or undefined. */
function withoutThreadSanitizer(): string | undefined {
  const [command, ...args] = compiler.split(' ') as [string, ...string[]];
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-check-'));
  const program = join(directory, 'probe');
  try {
    const probe = [...args, '-x', 'c', '-', '-fsanitize=thread', '-o', program];
    const { status } = spawnSync(command, probe, { input: 'int main(void) { return 0; }\n' });
    if (status !== 0) return `${command} has no ThreadSanitizer`;
    return spawnSync(program).status === 0 ? undefined : 'its programs do not start here';
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Why arm64 cannot be emulated, or undefined. */
function withoutArm(): string | undefined {
  if (!runs(cross)) return `no ${cross}`;
  return emulators.some(runs) ? undefined : 'no qemu-user';
}

/** Compiles the program in one way and returns what it says. */
function check(flags: readonly string[], environment: NodeJS.ProcessEnv, emulator?: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-check-'));
  const program = join(directory, 'kernels_check');
  const env = { ...process.env, ...environment };
  try {
    execFileSync(process.execPath, [builder, ...flags, 'kernels_check', program], { env, stdio: 'pipe' });
    const command = emulator === undefined ? [program] : [emulator, program];
    const { stdout, stderr, status } = spawnSync(command[0]!, command.slice(1), { encoding: 'utf8' });
    return status === 0 ? stdout + stderr : `ended with ${status}: ${stdout}${stderr}`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const noSanitizers = withoutSanitizers();
test.skipIf(noSanitizers)(
  `kernels and engine under ASan and UBSan${noSanitizers ? ` (skipped: ${noSanitizers})` : ''}`,
  () => {
    expect(check(['--sanitize'], {})).toMatch(/^\d+ checks agree, up to level \S+\n$/);
  },
  BUILD_TIMEOUT_MS,
);

const noThreadSanitizer = withoutThreadSanitizer();
test.skipIf(noThreadSanitizer)(
  `kernels and engine under ThreadSanitizer${noThreadSanitizer ? ` (skipped: ${noThreadSanitizer})` : ''}`,
  () => {
    const said = check([], { CC: `${compiler} -g1 -fsanitize=thread` });
    expect(said).toMatch(/^\d+ checks agree, up to level \S+\n$/);
  },
  BUILD_TIMEOUT_MS,
);

const noClang = runs('clang') ? undefined : 'no clang';
test.skipIf(noClang)(
  `kernels and engine as clang compiles them${noClang ? ` (skipped: ${noClang})` : ''}`,
  () => {
    expect(check([], { CC: 'clang' })).toMatch(/^\d+ checks agree, up to level \S+\n$/);
  },
  BUILD_TIMEOUT_MS,
);

const noArm = withoutArm();
test.skipIf(noArm)(
  `kernels and engine for arm64, emulated${noArm ? ` (skipped: ${noArm})` : ''}`,
  () => {
    const said = check(['--static', '--arch=arm64'], { CC: cross }, emulators.find(runs));
    expect(said).toMatch(/^\d+ checks agree, up to level neon\n$/);
  },
  BUILD_TIMEOUT_MS,
);
