/**
 * What a client may see of each key. Every write is an interval: it takes effect at some instant between the call and the answer, or
 * not at all when there was no answer. A value may be seen at a time when its write had begun, and no later write that was answered
 * lies wholly between its end and that time. A write that was refused must not be seen. Where a state was read while nothing
 * was under way, it is that and nothing else from then on: what a crash left open is decided once.
 *
 * This accepts a little more than linearizability (it looks at single reads, not at their order), never less.
 */
import { createHash } from 'node:crypto';

/** One body; the same bytes are the same body. */
export interface Body {
  readonly bytes: Buffer;
  readonly etag: string;
}

export function bodyFrom(bytes: Buffer): Body {
  return { bytes, etag: createHash('md5').update(bytes).digest('hex') };
}

/** undefined: no such object. */
export type Value = Body | undefined;

export interface Write {
  /** What it may have written: one value, or for a copy under way all that its source may have been. */
  values: () => readonly Value[];
  readonly startedAt: number;
  endedAt: number;
  isAnswered: boolean;
}

export function describe(value: Value): string {
  return value === undefined ? 'nothing' : `${value.bytes.length} bytes ${value.etag.slice(0, 8)}`;
}

export class Model {
  #now = 0;
  readonly #writes = new Map<string, Write[]>();
  /** Copies whose source is being looked up: two may point at each other. */
  readonly #expanding = new Set<Write>();

  /** A point in time that differs from all others. */
  now(): number {
    this.#now += 1;
    return this.#now;
  }

  keys(): string[] {
    return [...this.#writes.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  begin(key: string, value: Value): Write {
    return this.#begin(key, () => [value]);
  }

  /** A copy of a multipart object has the digest of the whole for its ETag. */
  beginCopy(source: string, target: string): Write {
    const write = this.#begin(target, () => {
      if (this.#expanding.has(write)) return [];
      this.#expanding.add(write);
      const found = this.possible(source, write.startedAt, Number.POSITIVE_INFINITY);
      this.#expanding.delete(write);
      return found.flatMap((value) => (value === undefined ? [] : [value, bodyFrom(value.bytes)]));
    });
    return write;
  }

  #begin(key: string, values: Write['values']): Write {
    const endedAt = Number.POSITIVE_INFINITY;
    const write = { values, startedAt: this.now(), endedAt, isAnswered: false };
    this.#of(key).push(write);
    return write;
  }

  /** `value`: what it turned out to be. */
  answered(write: Write, value?: Value): void {
    const known = value === undefined ? write.values() : [value];
    write.values = () => known;
    write.endedAt = this.now();
    write.isAnswered = true;
  }

  refused(key: string, write: Write): void {
    const writes = this.#of(key);
    writes.splice(writes.indexOf(write), 1);
  }

  /** The process is gone: what was under way has happened by now or never will. */
  interrupted(): void {
    const all = [...this.#writes.values()].flat().map((write) => ({ write, known: write.values() }));
    const now = this.now();
    for (const { write, known } of all) {
      write.values = () => known;
      write.endedAt = Math.min(write.endedAt, now);
    }
  }

  /** What a read may have seen that began and ended then. */
  possible(key: string, from: number, to: number, except?: Write): Value[] {
    const writes = this.#of(key).filter((write) => write !== except);
    return writes
      .filter(({ startedAt }) => startedAt < to)
      .filter(
        (write) =>
          !writes.some(
            (later) => later.isAnswered && later.startedAt > write.endedAt && later.endedAt < from,
          ),
      )
      .flatMap(({ values }) => values());
  }

  /** Nothing is under way and this was read. */
  settle(key: string, value: Value): void {
    const now = this.now();
    this.#writes.set(key, [{ values: () => [value], startedAt: now, endedAt: now, isAnswered: true }]);
  }

  #of(key: string): Write[] {
    let writes = this.#writes.get(key);
    if (writes === undefined) {
      writes = [{ values: () => [undefined], startedAt: 0, endedAt: 0, isAnswered: true }];
      this.#writes.set(key, writes);
    }
    return writes;
  }
}

/** Whether what was read is this value, or this part of it. */
export function matches(
  value: Value,
  read: { readonly etag: string; readonly bytes: Buffer; readonly from: number; readonly sizeBytes: number },
): boolean {
  if (value === undefined || value.etag !== read.etag || value.bytes.length !== read.sizeBytes) return false;
  return value.bytes.subarray(read.from, read.from + read.bytes.length).equals(read.bytes);
}
