/**
 * Native work off the event loop, as promises. One callback brings back whatever ended; the memory of a job is held here until then, since
 * native code keeps nothing alive. Each thread of JavaScript has one of these, made when first asked for.
 *
 * Limits: JOBS_MAX jobs at once; callers have smaller bounds of their own.
 */
import { availableParallelism } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { HoldfastError } from './errors.ts';
import { type NativeAddon, type NativeJobFunctions, native } from './native.ts';

/** Threads that compute: more than one a core would only take turns. */
export const computeThreads = Math.max(1, Math.min(availableParallelism(), 64));
/** Threads that wait for files: enough that no node of a usual grid waits for another's fsync. */
export const FILE_THREADS = 64;
const JOBS_MAX = 65_536;

/** As in native/binding/runtime.h; positive codes are errnos. */
export const jobCodes = {
  noMemory: -1,
  cipherFailed: -2,
  badGeometry: -3,
  badTag: -4,
  badLength: -5,
  shortRead: -6,
  /** Only of jobs that run at once; the value is the errno. */
  fileFailed: -7,
  closed: -8,
} as const;

/** How a job failed. `code` is an errno's name for files, `nativeCode` what native code said, `value` what it adds. */
export class NativeJobError extends Error {
  readonly code: string;
  readonly nativeCode: number;
  readonly value: number;

  constructor(nativeCode: number, value: number) {
    const name = nativeCode > 0 ? getSystemErrorName(-nativeCode) : nameOf(nativeCode);
    super(`native job failed: ${name}`);
    this.code = name;
    this.nativeCode = nativeCode;
    this.value = value;
  }
}

function nameOf(nativeCode: number): string {
  return Object.entries(jobCodes).find(([, code]) => code === nativeCode)?.[0] ?? `code ${nativeCode}`;
}

interface Pending {
  readonly resolve: (value: number) => void;
  readonly reject: (error: NativeJobError) => void;
  /** What must stay alive. */
  readonly held: readonly unknown[];
}

/** Calls one of the addon's functions with the id. */
export type NativeCall = (id: number | undefined) => number | undefined;

export class NativeJobs {
  readonly addon: NativeJobFunctions;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  constructor(addon: NativeJobFunctions) {
    this.addon = addon;
    addon.start(computeThreads, FILE_THREADS, (id, code, value) => this.#onDone(id, code, value));
  }

  /**
   * Calls `submit` with an id to pass on to one of the addon's functions. `held` is kept until the job has ended. Resolves to the
   * job's value; rejects with NativeJobError, or what `submit` throws.
   */
  run(submit: NativeCall, ...held: readonly unknown[]): Promise<number> {
    if (this.#pending.size >= JOBS_MAX) {
      return Promise.reject(new HoldfastError('SlowDown', { detail: 'too many native jobs are under way' }));
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextId();
      submit(id);
      this.#pending.set(id, { resolve, reject, held });
    });
  }

  /** Runs a job on this thread. @throws NativeJobError */
  runNow(call: NativeCall): number {
    const outcome = call(undefined) ?? 0;
    if (outcome >= 0) return outcome;
    const [code, value] = [outcome % 8 || -8, Math.floor(-outcome / 8)];
    throw code === jobCodes.fileFailed ? new NativeJobError(value, 0) : new NativeJobError(code, value);
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }

  #onDone(id: number, code: number, value: number): void {
    const job = this.#pending.get(id);
    this.#pending.delete(id);
    if (code === 0) job?.resolve(value);
    else job?.reject(new NativeJobError(code, value));
  }
}

const started = new WeakMap<NativeAddon, NativeJobs>();

/** The jobs of this thread; undefined without the addon. */
export function nativeJobs(): NativeJobs | undefined {
  const { addon } = native();
  if (addon === undefined) return undefined;
  let jobs = started.get(addon);
  if (jobs === undefined) started.set(addon, (jobs = new NativeJobs(addon)));
  return jobs;
}
