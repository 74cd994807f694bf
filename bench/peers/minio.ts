/**
 * MinIO as its documentation sets it up on one machine, given what Holdfast has: six folders, two of every six shards parity, fsync
 * (which it always does). Without encryption, and with SSE-S3 on every object by a key in its environment.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { waitUntil } from '../../test/harness/server.ts';
import type { Peer } from './contender.ts';

const FOLDERS = 6;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const OUTPUT_CHARACTERS_MAX = 20_000;
const keys = { accessKeyId: 'benchmark', secretAccessKey: 'benchmark-secret' };

const settings = {
  MINIO_ROOT_USER: keys.accessKeyId,
  MINIO_ROOT_PASSWORD: keys.secretAccessKey,
  MINIO_STORAGE_CLASS_STANDARD: 'EC:2',
  MINIO_BROWSER: 'off',
  MINIO_UPDATE: 'off',
  // Lets it use folders of the disk that the system is on.
  MINIO_CI_CD: '1',
};

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** The environment without settings of another MinIO. */
const inherited = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MINIO_')));

async function healthy(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/minio/health/cluster`)).ok;
  } catch {
    return false;
  }
}

/** MinIO keeps for up to five minutes what was deleted, and does not mind that it goes earlier. */
async function emptyTrash(folder: string): Promise<void> {
  const trash = join(folder, '.minio.sys/tmp/.trash');
  for (const name of await readdir(trash)) await rm(join(trash, name), { recursive: true, force: true });
}

function peer(name: string, binary: string, extra: Readonly<Record<string, string>>): Peer {
  return {
    name,
    start: async (directory) => {
      const port = await freePort();
      const folders = Array.from({ length: FOLDERS }, (_, i) => join(directory, `disk${i + 1}`));
      for (const folder of folders) mkdirSync(folder);
      const child = spawn(binary, ['server', '--quiet', '--address', `127.0.0.1:${port}`, ...folders], {
        env: { ...inherited(), HOME: directory, ...settings, ...extra },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let output = '';
      const collect = (piece: Buffer) => {
        output = (output + piece.toString()).slice(-OUTPUT_CHARACTERS_MAX);
      };
      child.stdout.on('data', collect);
      child.stderr.on('data', collect);
      await once(child, 'spawn');
      const ended = once(child, 'exit');
      const over = () => child.exitCode !== null || child.signalCode !== null;
      await waitUntil(
        async () => over() || (await healthy(port)),
        START_TIMEOUT_MS,
        () => output,
      );
      if (over()) throw new Error(`MinIO ended with ${child.exitCode}:\n${output}`);
      return {
        name,
        target: { host: '127.0.0.1', port, ...keys },
        pid: child.pid ?? 0,
        output: () => output,
        emptyTrash: async () => {
          await Promise.all(folders.map(emptyTrash));
        },
        stop: async () => {
          child.kill('SIGTERM');
          const kill = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
          if (!over()) await ended;
          clearTimeout(kill);
        },
      };
    },
  };
}

export const minio = (binary: string): Peer => peer('MinIO', binary, {});

export const minioEncrypted = (binary: string): Peer =>
  peer('MinIO, SSE-S3', binary, {
    // A key for data that is deleted at the end.
    MINIO_KMS_SECRET_KEY: `minio-key:${Buffer.alloc(32, 'benchmark').toString('base64')}`,
    MINIO_KMS_AUTO_ENCRYPTION: 'on',
  });
