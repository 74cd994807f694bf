/**
 * A disk in memory that fails as real ones do, from a seed: unsynced writes are lost, torn at 512 bytes and reordered
 * when the power goes, unsynced creations, renames and removals too; it fills up in the middle of a write, returns EIO,
 * fails fsync, rots. `powerCut()` returns the disk as it is found after the reboot; the old one answers nothing any more.
 * Print `seed` when a test fails: the same seed and the same calls give the same disk.
 */
import { dirname } from 'node:path';
import type { Disk, DiskFile, DiskSpace } from '../../src/node/disk.ts';
import { Prng } from './prng.ts';
import { type Loss, SimulatedInode } from './simulatedfile.ts';

export type DiskErrorCode = 'ENOENT' | 'EEXIST' | 'ENOSPC' | 'EIO' | 'EBADF' | 'ENOTDIR' | 'EPOWER';

export function diskError(code: DiskErrorCode, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${path}`), { code, path });
}

type NameOperation =
  | { readonly kind: 'link'; readonly path: string; readonly inode: SimulatedInode }
  | { readonly kind: 'unlink'; readonly path: string }
  | { readonly kind: 'rename'; readonly from: string; readonly path: string }
  | { readonly kind: 'makeDirectory'; readonly path: string };

interface Names {
  readonly files: Map<string, SimulatedInode>;
  readonly directories: Set<string>;
}

function applyName(names: Names, operation: NameOperation): void {
  if (operation.kind === 'makeDirectory') names.directories.add(operation.path);
  else if (operation.kind === 'link') names.files.set(operation.path, operation.inode);
  else if (operation.kind === 'unlink') names.files.delete(operation.path);
  else {
    const inode = names.files.get(operation.from);
    if (!inode) return;
    names.files.delete(operation.from);
    names.files.set(operation.path, inode);
  }
}

class SimulatedFile implements DiskFile {
  readonly path: string;
  readonly #disk: SimulatedDisk;
  readonly #inode: SimulatedInode;
  readonly #writable: boolean;
  #open = true;

  constructor(disk: SimulatedDisk, path: string, inode: SimulatedInode, writable: boolean) {
    this.path = path;
    this.#disk = disk;
    this.#inode = inode;
    this.#writable = writable;
  }

  get direct(): boolean {
    return this.#disk.direct;
  }

  async writev(buffers: readonly Uint8Array[], positionBytes: number): Promise<void> {
    await this.#step(true);
    this.#disk.takeWriteFailure(this.path);
    let position = positionBytes;
    for (const buffer of buffers) {
      const growth = Math.max(0, position + buffer.length - this.#inode.cached.sizeBytes);
      const room = this.#disk.roomBytes();
      const fits = growth <= room ? buffer.length : buffer.length - (growth - room);
      if (fits > 0) this.#inode.write(buffer.subarray(0, fits), position);
      if (fits < buffer.length) throw diskError('ENOSPC', this.path);
      position += buffer.length;
    }
  }

  async read(target: Uint8Array, positionBytes: number): Promise<number> {
    await this.#step(false);
    const { cached, badRanges } = this.#inode;
    const end = Math.min(positionBytes + target.length, cached.sizeBytes);
    if (badRanges.some((range) => range.from < end && range.to > positionBytes)) {
      throw diskError('EIO', this.path);
    }
    if (end <= positionBytes) return 0;
    target.set(cached.bytes.subarray(positionBytes, end));
    return end - positionBytes;
  }

  async sync(): Promise<void> {
    await this.#step(false);
    if (this.#disk.takeSyncFailure(this.path)) {
      this.#inode.failSync(this.#disk.prng);
      throw diskError('EIO', this.path);
    }
    this.#inode.sync();
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.#step(true);
    this.#inode.resize(sizeBytes);
  }

  async sizeBytes(): Promise<number> {
    await this.#step(false);
    return this.#inode.cached.sizeBytes;
  }

  async linkCount(): Promise<number> {
    await this.#step(false);
    return this.#disk.linksTo(this.#inode);
  }

  async close(): Promise<void> {
    await this.#disk.step();
    this.#open = false;
  }

  async #step(write: boolean): Promise<void> {
    if (!this.#open || (write && !this.#writable)) throw diskError('EBADF', this.path);
    await this.#disk.step();
  }
}

export interface SimulatedDiskOptions {
  readonly capacityBytes?: number;
  readonly filesystemId?: string;
  /** Whether files gain by appends of whole blocks (src/node/disk.ts). They are written like any other. */
  readonly direct?: boolean;
  /** Called as every operation begins: for a simulator that counts them, and holds up or fails a whole disk. */
  readonly onOperation?: () => Promise<void> | undefined;
}

export class SimulatedDisk implements Disk {
  readonly prng: Prng;
  readonly seed: number;
  capacityBytes: number;
  readonly #options: SimulatedDiskOptions;
  readonly #names: Names;
  #durable: Names;
  #unsynced: NameOperation[] = [];
  #operations = 0;
  #cutAtOperation = Number.POSITIVE_INFINITY;
  #dead = false;
  #syncFailure: string | undefined;
  #writeFailure: { path: string; code: DiskErrorCode } | undefined;

  constructor(seed: number, options: SimulatedDiskOptions = {}, names?: Names) {
    this.seed = seed;
    this.prng = new Prng(seed);
    this.capacityBytes = options.capacityBytes ?? 2 ** 40;
    this.#options = options;
    this.#names = names ?? { files: new Map(), directories: new Set(['/']) };
    this.#durable = { files: new Map(this.#names.files), directories: new Set(this.#names.directories) };
  }

  /** Operations begun so far; with `cutAfter` this places a power cut between or inside any two of them. */
  get operations(): number {
    return this.#operations;
  }

  get direct(): boolean {
    return this.#options.direct === true;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** The power goes when `count` more operations have begun: that one and all later ones reject with EPOWER. */
  cutAfter(count: number): void {
    this.#cutAtOperation = this.#operations + count;
  }

  /** Ends this disk and returns it as it is after the reboot. */
  powerCut(): SimulatedDisk {
    this.#dead = true;
    const prng = this.prng;
    const loss: Loss = {
      kind: prng.pick(['everything', 'nothing', 'sectors', 'sectors', 'recent'] as const),
    };
    const names: Names = {
      files: new Map(this.#durable.files),
      directories: new Set(this.#durable.directories),
    };
    for (const operation of this.#unsynced) {
      const survives = loss.kind === 'nothing' || (loss.kind !== 'everything' && prng.chance(0.5));
      if (survives) applyName(names, operation);
    }
    const inodes = new Map<SimulatedInode, SimulatedInode>();
    const files = new Map<string, SimulatedInode>();
    for (const [path, inode] of names.files) {
      if (!names.directories.has(dirname(path))) continue;
      const found = inodes.get(inode) ?? inode.afterPowerCut(loss, prng);
      inodes.set(inode, found);
      files.set(path, found);
    }
    return this.#successor({ files, directories: names.directories });
  }

  /**
   * The process dies, the operating system does not: everything written is there, what was not synced still is not. The
   * disk as the next process opens it; this one answers nothing any more.
   */
  kill(): SimulatedDisk {
    this.#dead = true;
    const next = this.#successor(this.#names);
    next.#durable = this.#durable;
    next.#unsynced = this.#unsynced;
    return next;
  }

  #successor(names: Names): SimulatedDisk {
    return new SimulatedDisk(this.prng.u32(), { ...this.#options, capacityBytes: this.capacityBytes }, names);
  }

  /** The next sync of a file whose path ends in `pathEnd` fails with EIO and its unsynced pages are lost. */
  failNextSync(pathEnd = ''): void {
    this.#syncFailure = pathEnd;
  }

  failNextWrite(pathEnd = '', code: DiskErrorCode = 'EIO'): void {
    this.#writeFailure = { path: pathEnd, code };
  }

  /** Reads that touch [from, to) of the file return EIO until it is written again. */
  failReads(path: string, from: number, to: number): void {
    this.#inode(path).badRanges.push({ from, to });
  }

  flipBit(path: string, position: number, bit: number): void {
    this.#inode(path).flipBit(position, bit);
  }

  /** `rm -rf`, durable at once; open files live on without a name. */
  removeTree(path: string): void {
    for (const names of [this.#names, this.#durable]) {
      for (const file of [...names.files.keys()]) if (file.startsWith(`${path}/`)) names.files.delete(file);
      for (const directory of [...names.directories]) {
        if (directory === path || directory.startsWith(`${path}/`)) names.directories.delete(directory);
      }
    }
    this.#unsynced = this.#unsynced.filter(
      (operation) => operation.path !== path && !operation.path.startsWith(`${path}/`),
    );
  }

  /** `mv` of a directory, durable at once; open files stay open under their old path. */
  moveTree(from: string, to: string): void {
    for (const names of [this.#names, this.#durable]) {
      for (const [file, inode] of [...names.files]) {
        if (!file.startsWith(`${from}/`)) continue;
        names.files.delete(file);
        names.files.set(to + file.slice(from.length), inode);
      }
      names.directories.delete(from);
      names.directories.add(to);
    }
  }

  fileSizeBytes(path: string): number {
    return this.#inode(path).cached.sizeBytes;
  }

  async open(path: string, mode: 'create' | 'readwrite' | 'read'): Promise<DiskFile> {
    await this.step();
    let inode = this.#names.files.get(path);
    if (mode === 'create') {
      if (inode) throw diskError('EEXIST', path);
      if (!this.#names.directories.has(dirname(path))) throw diskError('ENOENT', path);
      inode = new SimulatedInode();
      this.#change({ kind: 'link', path, inode });
    }
    if (!inode) throw diskError('ENOENT', path);
    return new SimulatedFile(this, path, inode, mode !== 'read');
  }

  async list(directory: string): Promise<string[]> {
    await this.step();
    if (!this.#names.directories.has(directory)) throw diskError('ENOENT', directory);
    const entries = [...this.#names.files.keys(), ...this.#names.directories];
    return entries
      .filter((path) => path !== directory && dirname(path) === directory)
      .map((path) => path.slice(directory === '/' ? 1 : directory.length + 1));
  }

  async makeDirectory(path: string): Promise<void> {
    await this.step();
    const missing: string[] = [];
    for (let at = path; !this.#names.directories.has(at); at = dirname(at)) missing.unshift(at);
    for (const directory of missing) this.#change({ kind: 'makeDirectory', path: directory });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.step();
    if (!this.#names.files.has(from)) throw diskError('ENOENT', from);
    this.#change({ kind: 'rename', from, path: to });
  }

  async remove(path: string): Promise<void> {
    await this.step();
    if (!this.#names.files.has(path)) throw diskError('ENOENT', path);
    this.#change({ kind: 'unlink', path });
  }

  async syncDirectory(path: string): Promise<void> {
    await this.step();
    if (!this.#names.directories.has(path)) throw diskError('ENOENT', path);
    const rest: NameOperation[] = [];
    for (const operation of this.#unsynced) {
      if (dirname(operation.path) === path) applyName(this.#durable, operation);
      else rest.push(operation);
    }
    this.#unsynced = rest;
  }

  async readFile(path: string): Promise<Buffer> {
    await this.step();
    const { cached, badRanges } = this.#inode(path);
    if (badRanges.length > 0) throw diskError('EIO', path);
    return Buffer.from(cached.bytes.subarray(0, cached.sizeBytes));
  }

  async exists(path: string): Promise<boolean> {
    await this.step();
    return this.#names.files.has(path) || this.#names.directories.has(path);
  }

  async space(directory: string): Promise<DiskSpace> {
    await this.step();
    if (!this.#names.directories.has(directory)) throw diskError('ENOENT', directory);
    return {
      capacityBytes: this.capacityBytes,
      freeBytes: this.roomBytes(),
      filesystemId: this.#options.filesystemId ?? 'simulated',
    };
  }

  /** Every operation passes here: counts it, lets others in between, and ends it when the power is gone. */
  async step(): Promise<void> {
    this.#operations++;
    if (this.#operations >= this.#cutAtOperation) this.#dead = true;
    await this.#options.onOperation?.();
    for (let turns = this.prng.below(3); turns > 0; turns--) await undefined;
    if (this.#dead) throw diskError('EPOWER', 'disk');
  }

  roomBytes(): number {
    let used = 0;
    for (const inode of new Set(this.#names.files.values())) used += inode.cached.sizeBytes;
    return Math.max(0, this.capacityBytes - used);
  }

  linksTo(inode: SimulatedInode): number {
    let links = 0;
    for (const other of this.#names.files.values()) if (other === inode) links++;
    return links;
  }

  takeSyncFailure(path: string): boolean {
    if (this.#syncFailure === undefined || !path.endsWith(this.#syncFailure)) return false;
    this.#syncFailure = undefined;
    return true;
  }

  takeWriteFailure(path: string): void {
    const failure = this.#writeFailure;
    if (!failure || !path.endsWith(failure.path)) return;
    this.#writeFailure = undefined;
    throw diskError(failure.code, path);
  }

  #inode(path: string): SimulatedInode {
    const inode = this.#names.files.get(path);
    if (!inode) throw diskError('ENOENT', path);
    return inode;
  }

  #change(operation: NameOperation): void {
    applyName(this.#names, operation);
    this.#unsynced.push(operation);
  }
}
