/**
 * Small file systems, mounted for a test; it takes root on Linux. A disk may turn out to end earlier than it said, as a thin one does that
 * promised more than is behind it: what is written there fails, as a whole. (A loop device over a file system that fills up will not do: it
 * reports a write of which only a part fitted as done.)
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB } from '../../src/base/units.ts';

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { stdio: 'pipe', encoding: 'utf8' }).trim();

/** A journal, in front: without one, ext4 loses older parts of a file with a write that fails. Blocks of 4 KiB make one group of it all. */
const mkfsOptions = ['-q', '-b', '4096', '-J', 'size=4,location=4M', '-E', 'lazy_itable_init=1'] as const;

export class MountedDisk {
  /** Where it is mounted. */
  readonly path: string;
  readonly #bytes: number;
  readonly #image: string;
  readonly #device: string;
  readonly #undo: (() => void)[] = [];

  constructor(bytes: number) {
    const base = mkdtempSync(join(tmpdir(), 'holdfast-disk-'));
    this.#undo.push(() => rmSync(base, { recursive: true, force: true }));
    this.#bytes = bytes;
    this.path = join(base, 'disk');
    this.#image = join(base, 'image');
    try {
      mkdirSync(this.path);
      writeFileSync(this.#image, '');
      truncateSync(this.#image, bytes);
      run('mkfs.ext4', ...mkfsOptions, this.#image);
      this.#device = run('losetup', '--find', '--show', this.#image);
      this.#undo.push(() => run('losetup', '--detach', this.#device));
      run('mount', this.#device, this.path);
      this.#undo.push(() => run('umount', '--lazy', this.path));
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** From now on there are only the first `bytes` of it, whatever its file system thinks. */
  endAt(bytes: number): void {
    run('sync', '--file-system', this.path);
    this.#resize(bytes);
  }

  /** All of it is there, and it is mounted anew: nothing of it is in the page cache. */
  restore(): void {
    run('umount', this.path);
    this.#resize(this.#bytes);
    run('mount', this.#device, this.path);
  }

  #resize(bytes: number): void {
    truncateSync(this.#image, bytes);
    run('losetup', '--set-capacity', this.#device);
  }

  /** Also while a process has files open there. */
  remove(): void {
    for (const step of this.#undo.splice(0).reverse()) step();
  }
}

/** Why no file system can be mounted here, as a test's name says it; empty when one can. */
export function whyNoDisks(): string {
  try {
    const disk = new MountedDisk(32 * MIB);
    writeFileSync(join(disk.path, 'test'), 'x');
    disk.remove();
    return '';
  } catch {
    return ' (skipped: file systems cannot be mounted here)';
  }
}
