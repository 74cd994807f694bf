/**
 * The disk seam over node:fs. Every operation is one request to libuv's thread pool and one callback; the promise API of
 * node:fs adds objects and ticks per call that the byte path does not want. Data is made durable with fdatasync, which
 * also flushes a grown file size (POSIX: all metadata needed to read the data back).
 */
import * as fs from 'node:fs';
import { NativeJobError, type NativeJobs, nativeJobs } from '../base/nativejobs.ts';
import { type Disk, type DiskFile, type DiskSpace, SyncFailed } from './disk.ts';

type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

function call<T>(start: (callback: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value)));
  });
}

function callVoid(start: (callback: (error: NodeJS.ErrnoException | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });
}

/** What is left of `buffers` behind the first `skipBytes`. */
function remaining(buffers: readonly Uint8Array[], skipBytes: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = skipBytes;
  for (const buffer of buffers) {
    if (skip < buffer.length) rest.push(skip === 0 ? buffer : buffer.subarray(skip));
    skip = Math.max(0, skip - buffer.length);
  }
  return rest;
}

class RealFile implements DiskFile {
  readonly path: string;
  readonly #fd: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  get descriptor(): number {
    return this.#fd;
  }

  writev(buffers: readonly Uint8Array[], positionBytes: number): Promise<void> {
    let wanted = 0;
    for (const buffer of buffers) wanted += buffer.length;
    return new Promise((resolve, reject) => {
      const attempt = (rest: readonly Uint8Array[], writtenBefore: number) => {
        fs.writev(this.#fd, rest as Uint8Array[], positionBytes + writtenBefore, (error, count) => {
          if (error) return reject(error);
          const written = writtenBefore + count;
          if (written === wanted) return resolve();
          if (count === 0) {
            return reject(
              Object.assign(new Error(`${this.path}: nothing could be written`), { code: 'EIO' }),
            );
          }
          attempt(remaining(buffers, written), written);
        });
      };
      if (wanted === 0) resolve();
      else attempt(buffers, 0);
    });
  }

  read(target: Uint8Array, positionBytes: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const attempt = (filled: number) => {
        fs.read(this.#fd, target, filled, target.length - filled, positionBytes + filled, (error, count) => {
          if (error) return reject(error);
          const total = filled + count;
          if (count === 0 || total === target.length) return resolve(total);
          attempt(total);
        });
      };
      if (target.length === 0) resolve(0);
      else attempt(0);
    });
  }

  sync(): Promise<void> {
    return callVoid((callback) => fs.fdatasync(this.#fd, callback));
  }

  truncate(sizeBytes: number): Promise<void> {
    return callVoid((callback) => fs.ftruncate(this.#fd, sizeBytes, callback));
  }

  async sizeBytes(): Promise<number> {
    return (await call<fs.Stats>((callback) => fs.fstat(this.#fd, callback))).size;
  }

  async linkCount(): Promise<number> {
    return (await call<fs.Stats>((callback) => fs.fstat(this.#fd, callback))).nlink;
  }

  close(): Promise<void> {
    return callVoid((callback) => fs.close(this.#fd, callback));
  }
}

/** Exactly: numbers of inodes may be larger than 2^53. */
function statusOf(descriptor: number): Promise<fs.BigIntStats> {
  return call((callback) => fs.fstat(descriptor, { bigint: true }, callback));
}

/** Steps of an append (native/engine/files.h). */
const SYNC_STEP = 2;
const STILL_THERE = 16;

/**
 * Appends in one native call: one trip off the event loop instead of four, and none through libuv's threads. Large ones go past the page
 * cache where the file system lets them: a third of the processor time.
 */
class NativeFile extends RealFile {
  readonly #jobs: NativeJobs;
  #directFd: Promise<number | undefined> | undefined;
  #direct = process.platform === 'linux';

  constructor(path: string, fd: number, jobs: NativeJobs) {
    super(path, fd);
    this.#jobs = jobs;
  }

  get direct(): boolean {
    return this.#direct;
  }

  async append(
    buffers: readonly Uint8Array[],
    positionBytes: number,
    witnessPath: string,
    aligned: boolean,
  ): Promise<boolean | undefined> {
    const { addon } = this.#jobs;
    const direct = aligned ? await this.#openDirect() : undefined;
    try {
      const value = await this.#jobs.run(
        (id) =>
          addon.append(
            id,
            this.descriptor,
            positionBytes,
            buffers,
            witnessPath,
            ...(direct === undefined ? [] : [direct]),
          ),
        buffers,
      );
      return value >= STILL_THERE;
    } catch (error) {
      // No thread can be had, or too many jobs are under way: that says nothing about the disk.
      if (!(error instanceof NativeJobError)) return undefined;
      throw error.value === SYNC_STEP ? new SyncFailed(error) : error;
    }
  }

  /** The second descriptor; undefined where the file system has no such thing. Opened when first needed. */
  #openDirect(): Promise<number | undefined> | undefined {
    if (!this.#direct) return undefined;
    this.#directFd ??= this.#openAgain().catch(() => {
      this.#direct = false;
      return undefined;
    });
    return this.#directFd;
  }

  /** By its path, under which another file may be by now: half of an append must not go there. */
  async #openAgain(): Promise<number> {
    const flags = fs.constants.O_WRONLY | fs.constants.O_DIRECT;
    const opened = await call<number>((callback) => fs.open(this.path, flags, callback));
    try {
      const [here, there] = await Promise.all([statusOf(this.descriptor), statusOf(opened)]);
      if (here.ino === there.ino && here.dev === there.dev) return opened;
      throw new Error(`${this.path}: another file is there`);
    } catch (error) {
      await callVoid((callback) => fs.close(opened, callback));
      throw error;
    }
  }

  sealed(): void {
    void this.#closeDirect().catch(() => {});
  }

  override async close(): Promise<void> {
    await Promise.all([super.close(), this.#closeDirect()]);
  }

  async #closeDirect(): Promise<void> {
    this.#direct = false;
    const opened = this.#directFd;
    this.#directFd = undefined;
    const descriptor = await opened;
    if (descriptor !== undefined) await callVoid((callback) => fs.close(descriptor, callback));
  }
}

function openedFile(path: string, fd: number): DiskFile {
  const jobs = nativeJobs();
  return jobs === undefined ? new RealFile(path, fd) : new NativeFile(path, fd, jobs);
}

const openFlags = { create: 'wx+', readwrite: 'r+', read: 'r' } as const;

async function syncDirectory(path: string): Promise<void> {
  const fd = await call<number>((callback) => fs.open(path, 'r', callback));
  try {
    await callVoid((callback) => fs.fsync(fd, callback));
  } finally {
    await callVoid((callback) => fs.close(fd, callback));
  }
}

async function space(directory: string): Promise<DiskSpace> {
  const [filesystem, stats] = await Promise.all([
    call<fs.StatsFs>((callback) => fs.statfs(directory, callback)),
    call<fs.Stats>((callback) => fs.stat(directory, callback)),
  ]);
  return {
    capacityBytes: filesystem.blocks * filesystem.bsize,
    freeBytes: filesystem.bavail * filesystem.bsize,
    filesystemId: stats.dev.toString(16),
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await call<fs.Stats>((callback) => fs.stat(path, callback));
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw error;
  }
}

/** The disk of the machine. Files are made with mode 0600. */
export const realDisk: Disk = {
  open: async (path, mode) =>
    openedFile(path, await call<number>((callback) => fs.open(path, openFlags[mode], 0o600, callback))),
  list: (directory) => call<string[]>((callback) => fs.readdir(directory, callback)),
  makeDirectory: (path, mode) => callVoid((callback) => fs.mkdir(path, { recursive: true, mode }, callback)),
  rename: (from, to) => callVoid((callback) => fs.rename(from, to, callback)),
  remove: (path) => callVoid((callback) => fs.unlink(path, callback)),
  syncDirectory,
  readFile: (path) => call<Buffer>((callback) => fs.readFile(path, callback)),
  exists,
  space,
};
