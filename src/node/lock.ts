/**
 * One process per data directory: a socket in it that only one can listen on. A socket that was left behind answers nobody, and is taken over.
 */
import { close as closeFile, open as openFile } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HoldfastError } from '../base/errors.ts';

export const LOCK_SOCKET = 'node.lock';
/** Longer paths of sockets are cut off by the system. */
const SOCKET_PATH_BYTES_MAX = 100;
const ATTEMPTS_MAX = 3;

export interface DirectoryLock {
  release(): Promise<void>;
}

/** @throws DataDirectoryBusy when another process has the directory */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const long = Buffer.byteLength(directory) + LOCK_SOCKET.length + 1 > SOCKET_PATH_BYTES_MAX;
  const descriptor = long ? await promisify(openFile)(directory, 'r') : undefined;
  const path = join(descriptor === undefined ? directory : `/proc/self/fd/${descriptor}`, LOCK_SOCKET);
  const letGo = async () => {
    if (descriptor !== undefined) await promisify(closeFile)(descriptor);
  };
  for (let attempt = 1; ; attempt++) {
    try {
      const server = await listenOn(path);
      return {
        release: async () => {
          await new Promise<void>((resolve) => server.close(() => resolve()));
          await letGo();
        },
      };
    } catch (error) {
      const inUse = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (inUse && attempt < ATTEMPTS_MAX && !(await answers(path))) {
        await unlink(path).catch(() => undefined);
        continue;
      }
      await letGo();
      throw inUse
        ? new HoldfastError('DataDirectoryBusy', {
            detail: `${directory} is in use by another node`,
            cause: error,
          })
        : error;
    }
  }
}

function listenOn(path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve(server.unref()));
  });
}

function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).finally(() => socket.destroy()) as Promise<boolean>;
}
