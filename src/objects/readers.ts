/**
 * Who is reading what, so that a GET that began before an overwrite or delete ends with the bytes it began with. A reader holds
 * the object's key while it resolves, then the id of the version's data (content, or part list) until it is done. What is
 * held is not released in place: its release waits as garbage (garbage.ts).
 *
 * Between "may this be released?" and the commit that releases it no reader may slip in: a commit announces itself with
 * `beginRelease`, and a reader that then takes the key waits for it to end before it reads the metadata.
 *
 * Limits: knows the readers of this process only. A handler that never starts the stream it asked for lets its hold
 * lapse after a minute.
 */
import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { MINUTE_MS } from '../base/units.ts';

const UNSTARTED_HOLD_MS = MINUTE_MS;

export class Readers {
  readonly #clock: Clock;
  readonly #holds = new Map<string, number>();
  readonly #releases = new Map<string, Set<Promise<void>>>();
  readonly #resolving = new Set<Promise<void>>();
  /** Called with the id (as `mapKey`) whose last reader has ended. */
  onIdle: (key: string) => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Holds `id`; the function ends it and may be called more than once. */
  hold(id: Uint8Array): () => void {
    const key = mapKey(id);
    this.#holds.set(key, (this.#holds.get(key) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const count = (this.#holds.get(key) ?? 1) - 1;
      if (count > 0) {
        this.#holds.set(key, count);
        return;
      }
      this.#holds.delete(key);
      this.onIdle(key);
    };
  }

  /** As `hold`, but it ends by itself after a minute unless `started` was called. */
  holdUntilStarted(id: Uint8Array): { readonly end: () => void; readonly started: () => void } {
    const end = this.hold(id);
    const timer = this.#clock.schedule(UNSTARTED_HOLD_MS, end);
    return {
      end: () => {
        timer.cancel();
        end();
      },
      started: () => timer.cancel(),
    };
  }

  isHeld(id: Uint8Array): boolean {
    return this.#holds.size > 0 && this.#holds.has(mapKey(id));
  }

  /** Announces a commit that releases what the object at `objectKey` points to. Call the function when it has ended. */
  beginRelease(objectKey: Uint8Array): () => void {
    const key = mapKey(objectKey);
    const { promise, resolve } = Promise.withResolvers<void>();
    const running = this.#releases.get(key) ?? new Set();
    running.add(promise);
    this.#releases.set(key, running);
    return () => {
      running.delete(promise);
      if (running.size === 0 && this.#releases.get(key) === running) this.#releases.delete(key);
      resolve();
    };
  }

  /**
   * Holds an object's key for resolving it, once no announced release of it is under way. Only for as long as it takes to
   * read the record and hold what it points to.
   */
  async holdKey(objectKey: Uint8Array): Promise<() => void> {
    const end = this.hold(objectKey);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resolving.add(promise);
    const running = this.#releases.get(mapKey(objectKey));
    if (running !== undefined) await Promise.all(running);
    return () => {
      this.#resolving.delete(promise);
      resolve();
      end();
    };
  }

  /** Resolves when everybody who holds a key now has found what it points to. */
  async resolved(): Promise<void> {
    await Promise.all(this.#resolving);
  }
}
