/**
 * The data directory of a gateway: mode 0700, with `format.json` (what wrote it), `bundle.json` (keys), `credentials.json`,
 * `metadata/` (LevelDB, whose lock also says that a server is running) and `nodes/` (the embedded nodes).
 */
import { existsSync } from 'node:fs';
import { access, constants, mkdir, readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { writeFileDurably } from '../base/durablefile.ts';
import { HoldfastError } from '../base/errors.ts';

/** Raised when what is on disk can no longer be read by the version before. */
export const DATA_FORMAT = 1;

export interface DataDirectory {
  readonly path: string;
  /** Whether keys are there already. */
  readonly hasBundle: boolean;
  /** Whether some embedded node is there already. */
  readonly hasNodes: boolean;
  readonly metadata: string;
  readonly nodes: string;
  readonly bundle: string;
  readonly credentials: string;
}

/**
 * Opens or makes a data directory.
 * @throws DataDirectoryInvalid when it cannot be used, FormatTooNew when a later version wrote it
 */
export async function openDataDirectory(given: string): Promise<DataDirectory> {
  const path = resolve(given);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unusable(path, cause);
  }
  const formatFile = join(path, 'format.json');
  if (existsSync(formatFile)) await checkFormat(formatFile);
  else await begin(path, formatFile);
  const nodes = join(path, 'nodes');
  const bundle = join(path, 'bundle.json');
  return {
    path,
    hasBundle: existsSync(bundle),
    hasNodes: await holdsNodes(nodes),
    metadata: join(path, 'metadata'),
    nodes,
    bundle,
    credentials: join(path, 'credentials.json'),
  };
}

/** Empty folders do not count: disks may be mounted there before the first start. */
async function holdsNodes(nodes: string): Promise<boolean> {
  if (!existsSync(nodes)) return false;
  return (await readdir(nodes)).some((name) => existsSync(join(nodes, name, 'node.json')));
}

function unusable(path: string, cause: unknown): HoldfastError {
  const code = (cause as NodeJS.ErrnoException).code;
  const why =
    code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
      ? 'it cannot be written by this user'
      : code === 'EEXIST' || code === 'ENOTDIR'
        ? 'it is not a directory'
        : (cause as Error).message;
  return new HoldfastError('DataDirectoryInvalid', { detail: `data directory ${path}: ${why}`, cause });
}

async function begin(path: string, formatFile: string): Promise<void> {
  const own = ['bundle.json', 'metadata', 'nodes', 'credentials.json'];
  const found = (await readdir(path)).filter((name) => own.includes(name));
  if (found.length > 0) {
    throw new HoldfastError('DataDirectoryInvalid', {
      detail: `data directory ${path}: format.json is missing beside ${found.join(', ')}; put it back from a copy rather than starting over`,
    });
  }
  try {
    await writeFileDurably(
      formatFile,
      `${JSON.stringify({ product: 'holdfast', format: DATA_FORMAT })}\n`,
      0o600,
    );
  } catch (cause) {
    throw unusable(path, cause);
  }
}

async function checkFormat(formatFile: string): Promise<void> {
  let format: unknown;
  try {
    format = (JSON.parse(await readFile(formatFile, 'utf8')) as { format?: unknown } | null)?.format;
  } catch (cause) {
    throw new HoldfastError('DataDirectoryInvalid', {
      detail: `${formatFile}: ${(cause as Error).message}`,
      cause,
    });
  }
  if (!Number.isInteger(format)) {
    throw new HoldfastError('DataDirectoryInvalid', {
      detail: `${formatFile}: "format" is not a whole number`,
    });
  }
  if (Number(format) > DATA_FORMAT) {
    throw new HoldfastError('FormatTooNew', {
      detail: `${formatFile}: format ${format} was written by a newer Holdfast; this one reads up to ${DATA_FORMAT}`,
    });
  }
}
