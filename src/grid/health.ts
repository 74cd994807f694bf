/**
 * What a gateway has learnt about a node by talking to it: how long it takes, and whether it answers. Deadlines follow from the
 * first, the states online, suspect and offline from the second (design/healing.md, "States").
 */
import type { Clock } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import type { NodeOutcome } from './types.ts';

/** Durations kept for a percentile. */
const SAMPLES_MAX = 128;
const WRITE_DEADLINE_MS_MIN = 250;
const READ_DEADLINE_MS_MIN = 100;
const DEADLINE_FACTOR = 4;
/** Until there are samples, a node gets this long: a cold disk is not a sick one. */
const DEADLINE_MS_UNKNOWN = 2000;
const SAMPLES_FOR_DEADLINE_MIN = 8;
/** This many missed deadlines within the window make a node suspect. */
const MISSES_FOR_SUSPICION = 3;
const MISS_WINDOW_MS = 5000;
/** A suspect node is taken back after this long without a miss. */
const SUSPICION_MS = 15_000;

/** The last durations of one kind of exchange. */
export class Percentile {
  readonly #samples = new Float64Array(SAMPLES_MAX);
  #count = 0;
  #sorted: Float64Array | undefined;

  add(durationMs: number): void {
    this.#samples[this.#count % SAMPLES_MAX] = durationMs;
    this.#count += 1;
    if (this.#count % 16 === 0) this.#sorted = undefined;
  }

  get size(): number {
    return Math.min(this.#count, SAMPLES_MAX);
  }

  /** 0 without samples. Refreshed every 16 samples: exact enough for a deadline. */
  p95(): number {
    this.#sorted ??= this.#samples.slice(0, this.size).sort();
    return this.#sorted[Math.floor(this.#sorted.length * 0.95)] ?? 0;
  }
}

export class NodeHealth {
  readonly writes = new Percentile();
  readonly reads = new Percentile();
  readonly #clock: Clock;
  #missesMs: number[] = [];
  #suspectSinceMs: number | undefined;
  #offline: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get state(): 'online' | 'suspect' | 'offline' {
    if (this.#offline !== undefined) return 'offline';
    if (this.#suspectSinceMs === undefined) return 'online';
    if (this.#clock.monotonicMs() - this.#suspectSinceMs < SUSPICION_MS) return 'suspect';
    this.#suspectSinceMs = undefined;
    this.#missesMs = [];
    return 'online';
  }

  /** Why the node is offline; empty when it is not. */
  get problem(): string {
    return this.#offline ?? '';
  }

  record(outcome: NodeOutcome): void {
    if (outcome.kind === 'write') this.writes.add(outcome.durationMs);
    else if (outcome.kind === 'read') this.reads.add(outcome.durationMs);
    else if (outcome.kind === 'missedDeadline') this.#missed();
    else if (hasCode(outcome.error, 'NodeUnavailable', 'NodeFailed')) this.#offline = outcome.error.message;
    else this.#missed();
  }

  /** The node answered a probe. */
  answered(): void {
    this.#offline = undefined;
  }

  silent(problem: string): void {
    this.#offline = problem;
  }

  writeDeadlineMs(): number {
    return deadline(this.writes, WRITE_DEADLINE_MS_MIN);
  }

  readDeadlineMs(): number {
    return deadline(this.reads, READ_DEADLINE_MS_MIN);
  }

  #missed(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#missesMs = this.#missesMs.filter((missMs) => nowMs - missMs < MISS_WINDOW_MS);
    this.#missesMs.push(nowMs);
    if (this.#missesMs.length >= MISSES_FOR_SUSPICION) this.#suspectSinceMs = nowMs;
  }
}

function deadline(durations: Percentile, minimumMs: number): number {
  if (durations.size < SAMPLES_FOR_DEADLINE_MIN) return DEADLINE_MS_UNKNOWN;
  return Math.max(minimumMs, DEADLINE_FACTOR * durations.p95());
}
