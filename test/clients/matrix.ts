/**
 * What every client test shares: one server for each run, files to store, and the loss of two nodes half-way. A client that the machine
 * lacks is skipped loudly, by name.
 */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe } from 'vitest';
import {
  type CommandResult,
  loseNodes,
  type RunningServer,
  runCommand,
  startServer,
  temporaryDirectory,
} from '../harness/server.ts';

// A bundle of certificates for the outside world makes some clients refuse plain HTTP endpoints; set to nothing, others refuse it.
delete process.env['AWS_CA_BUNDLE'];

export const situations = ['all nodes there', 'two nodes lost half-way'] as const;
export type Situation = (typeof situations)[number];

/** S3 lists times in whole seconds, so a file that is younger than its object by less looks changed to `aws s3 sync`. */
const FILE_AGE_MS = 60_000;
/** Of the server's log, when a test fails. */
const SERVER_CHARACTERS_SHOWN_MAX = 4000;

export interface ClientTest {
  readonly server: () => RunningServer;
  readonly situation: Situation;
  /** In the second situation removes two of the six folders under the running server; else does nothing. */
  readonly halfWay: () => Promise<void>;
}

/** Whether a command is there. */
export function has(command: string, args: readonly string[] = ['--version']): boolean {
  const result = spawnSync(command, args, { stdio: 'ignore' });
  return result.error === undefined && result.status === 0;
}

/** Why a client cannot be tested here; undefined when it can. Said on stderr, so that a skip is never silent. */
export function missing(requirements: Readonly<Record<string, boolean>>): string | undefined {
  const lacking = Object.entries(requirements).filter(([, there]) => !there);
  if (lacking.length === 0) return undefined;
  const reason = `not on this machine: ${lacking.map(([name]) => name).join(', ')}`;
  process.stderr.write(`SKIPPED ${reason}\n`);
  return reason;
}

/** Declares a client's tests once for each situation, each against a server of its own, with settings from the environment. */
export function clientMatrix(
  name: string,
  requirements: Readonly<Record<string, boolean>>,
  define: (test: ClientTest) => void,
  environment: Readonly<Record<string, string>> = {},
): void {
  const lacking = missing(requirements);
  const title = lacking === undefined ? name : `${name} (${lacking})`;
  describe.skipIf(lacking !== undefined).each([...situations])(`${title}, %s`, (situation) => {
    let server: RunningServer | undefined;
    beforeAll(async () => {
      server = await startServer({ flags: ['--log-level', 'warn'], environment });
    }, 120_000);
    afterAll(async () => {
      await server?.stop();
    }, 60_000);
    beforeEach(({ onTestFailed }) => {
      onTestFailed(() => {
        process.stderr.write(`the server said: ${server?.output().slice(-SERVER_CHARACTERS_SHOWN_MAX)}\n`);
      });
    });
    const running = () => {
      if (server === undefined) throw new Error('the server did not start');
      return server;
    };
    define({
      server: running,
      situation,
      halfWay: async () => {
        if (situation === 'all nodes there') return;
        const folders = readdirSync(join(running().data, 'nodes')).sort();
        await loseNodes(running(), folders.slice(1, 3));
      },
    });
  });
}

/** Deterministic enough: the sizes are fixed, the bytes random. Paths have spaces, umlauts and an astral character. */
export function makeTree(
  sizes: readonly number[] = [0, 1, 4096, 32 * 1024, 100_000, 3_000_000, 20_000_000],
): string {
  const root = temporaryDirectory();
  const writtenAt = new Date(Date.now() - FILE_AGE_MS);
  for (const [index, size] of sizes.entries()) {
    const path = join(root, index % 2 === 0 ? 'plain' : 'mit Leerzeichen und ü 𝄞', `file ${index}.bin`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, randomBytes(size));
    utimesSync(path, writtenAt, writtenAt);
  }
  return root;
}

/** Relative path → SHA-256 of every file below a folder. */
export function treeHashes(root: string): Record<string, string> {
  const hashes: Record<string, string> = {};
  for (const name of readdirSync(root, { recursive: true }) as string[]) {
    const path = join(root, name);
    if (statSync(path).isFile()) {
      hashes[relative(root, path)] = createHash('sha256').update(readFileSync(path)).digest('hex');
    }
  }
  return hashes;
}

/** Runs a client and fails with what it printed when its exit code is not 0. */
export async function client(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  timeoutMs = 240_000,
): Promise<CommandResult> {
  const result = await runCommand(command, args, { environment, timeoutMs });
  if (result.code !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} ended with ${result.code}\n${result.stdout}\n${result.stderr}`,
    );
  }
  return result;
}

/** A configuration file of s3cmd for a server; its path. */
export function s3cmdConfig(server: RunningServer): string {
  const config = join(temporaryDirectory(), 's3cfg');
  const host = new URL(server.endpoint).host;
  writeFileSync(
    config,
    `[default]\naccess_key = ${server.accessKeyId}\nsecret_key = ${server.secretAccessKey}\n` +
      `host_base = ${host}\nhost_bucket = ${host}\nuse_https = False\n`,
  );
  return config;
}

/** Environment in which rclone knows the server as the remote `holdfast`. */
export function rcloneEnvironment(server: RunningServer): Record<string, string> {
  return {
    RCLONE_CONFIG: '/dev/null',
    RCLONE_CONFIG_HOLDFAST_TYPE: 's3',
    RCLONE_CONFIG_HOLDFAST_PROVIDER: 'Other',
    RCLONE_CONFIG_HOLDFAST_ENDPOINT: server.endpoint,
    RCLONE_CONFIG_HOLDFAST_ACCESS_KEY_ID: server.accessKeyId,
    RCLONE_CONFIG_HOLDFAST_SECRET_ACCESS_KEY: server.secretAccessKey,
    RCLONE_CONFIG_HOLDFAST_FORCE_PATH_STYLE: 'true',
  };
}

/** Environment of AWS's own tools. */
export function awsEnvironment(server: RunningServer): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}
