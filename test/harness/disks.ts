/** Small file systems, mounted for a test; it takes root on Linux. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB } from '../../src/base/units.ts';

const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: 'pipe' });

/** An ext4 in a file that lies in a file system of its own, which may be too small for it: a thin disk. */
export class MountedDisk {
  /** Where it is mounted. */
  readonly path: string;
  readonly #backing: string;
  readonly #image: string;
  readonly #undo: (() => void)[] = [];

  /** `bytes`: what the disk says it has; `backingBytes`: what is behind it, and a little for the file system itself. */
  constructor(bytes: number, backingBytes: number) {
    const base = mkdtempSync(join(tmpdir(), 'holdfast-disk-'));
    this.#undo.push(() => rmSync(base, { recursive: true, force: true }));
    this.#backing = join(base, 'backing');
    this.path = join(base, 'disk');
    this.#image = join(this.#backing, 'image');
    mkdirSync(this.#backing);
    mkdirSync(this.path);
    try {
      run('mount', '-t', 'tmpfs', '-o', `size=${backingBytes}`, 'tmpfs', this.#backing);
      this.#undo.push(() => run('umount', '-l', this.#backing));
      writeFileSync(this.#image, '');
      truncateSync(this.#image, bytes);
      // The journal is written now, so that it has what it needs behind it: without one, a failed write may take a file's older parts along.
      run('mkfs.ext4', '-q', '-J', 'size=4', '-E', 'lazy_itable_init=1,lazy_journal_init=0', this.#image);
      this.#mount();
      this.#undo.push(() => run('umount', '-l', this.path));
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  #mount(): void {
    run('mount', '-o', 'loop', this.#image, this.path);
  }

  /** More behind a thin disk: in all `backingBytes`. */
  grow(backingBytes: number): void {
    run('mount', '-o', `remount,size=${backingBytes}`, this.#backing);
  }

  /** As after a start of the machine: nothing of it is in the page cache. */
  mountAnew(): void {
    run('umount', this.path);
    this.#mount();
  }

  /** Also while a process has files open there. */
  remove(): void {
    for (const step of this.#undo.splice(0).reverse()) step();
  }
}

/** Why no file system can be mounted here, as a test's name says it; empty when one can. */
export function whyNoDisks(): string {
  try {
    const disk = new MountedDisk(16 * MIB, 20 * MIB);
    writeFileSync(join(disk.path, 'test'), 'x');
    disk.remove();
    return '';
  } catch {
    return ' (skipped: file systems cannot be mounted here)';
  }
}
