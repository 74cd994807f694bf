/**
 * Runs before `npm start` and `npm test`, on whatever Node ran npm (20 or later), before anything is installed: plain
 * JavaScript without dependencies. Installs the packages of the lock file when node_modules is missing or was installed
 * from another lock file, builds the native kernels, and says in one line what this machine lacks.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const stamp = join(modules, '.holdfast-installed');
const builtHere = join(root, 'build', 'Release', 'holdfast.node');
const whyPortable = join(root, 'build', 'why-portable');
const NODE_MAJOR_MIN = 24;
const NODE_MINOR_MIN = 15;
/** Measured with PUTs of 64 MiB (bench/endtoend.ts), two cores with AVX-512: 530 against 344 MiB/s, 3.0 against 5.4 CPU-s/GiB. */
const SLOWER = 'large writes go at about two thirds of the speed and take 1.8 times the processor time';

function say(line) {
  process.stderr.write(`holdfast: ${line}\n`);
}

function fail(line) {
  say(line);
  process.exit(1);
}

/** npm itself, run by the Node that runs it now; `npm` from the path when this script was started by hand. */
function npm(args) {
  const cli = process.env.npm_execpath;
  const node = process.env.npm_node_execpath ?? process.execPath;
  const command = cli?.endsWith('.js') ? [node, cli] : ['npm'];
  return spawnSync(command[0], [...command.slice(1), ...args], { cwd: root, stdio: 'inherit' });
}

function installPackages() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8').trim() : '';
  if (installed === wanted) return;
  say('installing packages (first start, or the lock file changed) …');
  const result = npm(['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  if (result.error) fail(`npm could not be run: ${result.error.message}`);
  if (result.status !== 0) fail(`npm ci failed with exit code ${result.status}; nothing was started`);
  writeFileSync(stamp, `${wanted}\n`);
  const require = createRequire(join(root, 'package.json'));
  try {
    require('@ronomon/reed-solomon');
  } catch {
    say(
      'no C++ compiler: codec 2 (@ronomon/reed-solomon) was not built; nobody misses it who does not ask for it',
    );
  }
}

/** The addon that a start would load: one that was built here, or a prebuilt one of this platform. */
function findAddon() {
  try {
    return createRequire(join(root, 'package.json'))('node-gyp-build').path(root);
  } catch {
    return undefined;
  }
}

/**
 * Says why there are no native kernels, and keeps it for `holdfast status` (src/base/native.ts). An addon that was built from other
 * sources goes, since it would not do what the code that calls it expects.
 */
function goWithout(reason, when = '') {
  try {
    rmSync(builtHere, { force: true });
    mkdirSync(dirname(whyPortable), { recursive: true });
    writeFileSync(whyPortable, `${reason}${when}\n`);
  } catch {
    // On read-only media there is nothing to keep it in.
  }
  say(`${reason}: running on portable kernels. They make the same bytes; ${SLOWER}`);
}

/** Compiles the native kernels when they are not there, or older than their source. Holdfast works without them. */
async function buildKernels() {
  if (process.env.HOLDFAST_NATIVE === 'off') return;
  const { build, findCompiler, isBuilt } = await import('../native/build.js');
  const found = findAddon();
  if (found !== undefined && isBuilt(found)) return;
  const cc = findCompiler();
  if (cc === undefined && found !== undefined && found !== builtHere) return;
  if (cc === undefined) return goWithout('no C compiler', ' when it was installed');
  const startedMs = Date.now();
  try {
    await build({ cc });
    rmSync(whyPortable, { force: true });
    say(`native kernels built in ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
  } catch (error) {
    goWithout(`the C compiler failed (${error.message})`);
  }
}

function checkNode() {
  const binary = join(modules, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');
  const result = spawnSync(binary, ['--version'], { encoding: 'utf8' });
  const [major = 0, minor = 0] = (result.stdout ?? '').trim().replace(/^v/, '').split('.').map(Number);
  if (result.status !== 0 || major < NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor < NODE_MINOR_MIN)) {
    fail(
      `Node ${NODE_MAJOR_MIN}.${NODE_MINOR_MIN} or later is needed and the "node" package did not install it ` +
        '(were install scripts switched off?); run `npm rebuild node`, or install that Node yourself',
    );
  }
}

installPackages();
checkNode();
await buildKernels();
