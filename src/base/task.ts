/**
 * Background work: a step that is repeated, with a rest in between that anyone can cut short. A failing step is logged and tried
 * again later; it never ends the process.
 */
import type { Clock } from './clock.ts';

const REST_AFTER_FAILURE_MS = 5_000;

export interface TaskLog {
  warn(fields: object, message: string): void;
}

export class Task {
  readonly name: string;
  readonly #step: (signal: AbortSignal) => Promise<number>;
  readonly #clock: Clock;
  readonly #log: TaskLog;
  readonly #stopping = new AbortController();
  #awake = new AbortController();
  #done: Promise<void> | undefined;

  /** `step` resolves to the rest before the next step in milliseconds. */
  constructor(name: string, clock: Clock, log: TaskLog, step: (signal: AbortSignal) => Promise<number>) {
    this.name = name;
    this.#clock = clock;
    this.#log = log;
    this.#step = step;
  }

  start(): void {
    this.#done ??= this.#run();
  }

  /** Ends the rest, or makes the step that is running be followed by another at once. */
  wake(): void {
    this.#awake.abort();
  }

  /** Resolves when the step under way has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error(`${this.name}: stopping`));
    this.#awake.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#awake = new AbortController();
      let restMs = REST_AFTER_FAILURE_MS;
      try {
        restMs = await this.#step(signal);
      } catch (error) {
        if (!signal.aborted) this.#log.warn({ err: error, task: this.name }, 'background step failed');
      }
      if (restMs > 0 && !signal.aborted) await this.#rest(restMs);
    }
  }

  async #rest(restMs: number): Promise<void> {
    try {
      await this.#clock.sleep(restMs, this.#awake.signal);
    } catch {
      // Woken early.
    }
  }
}
