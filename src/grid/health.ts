/**
 * What a gateway has learnt about a node by talking to it: how long it takes, and whether it answers. Deadlines follow from the
 * first, the states online, suspect and offline from the second (design/healing.md, "States").
 */
import type { Clock } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import type { ExchangeKind, NodeOutcome } from './types.ts';

/** Durations kept for a percentile. */
const SAMPLES_MAX = 128;
/** With more samples than this, sorting after every one costs more than it tells. */
const SAMPLES_EXACT_MAX = 32;
const SAMPLES_PER_REFRESH = 16;
const WRITE_DEADLINE_MS_MIN = 250;
const READ_DEADLINE_MS_MIN = 100;
/** However slow a node has become, nobody waits longer for it before asking another. */
const DEADLINE_MS_MAX = 10_000;
const DEADLINE_FACTOR = 4;
/**
 * Until there are samples. A disk that has been asleep takes up to a second for its first answer, and opening files costs more on a
 * cold cache than it ever will again; with the usual minimum every start of a gateway would begin with suspicions.
 */
const DEADLINE_MS_UNKNOWN = 2000;
const SAMPLES_FOR_DEADLINE_MIN = 8;
/** This many missed deadlines within the window make a node suspect. */
const MISSES_FOR_SUSPICION = 3;
const MISS_WINDOW_MS = 5000;
/** A suspect node is taken back after this long without a miss. */
const SUSPICION_MS = 15_000;
/** Late exchanges of one kind that may hang in a node; at this number it is not asked until some have ended. */
export const LATE_EXCHANGES_MAX = 4;

/** The last durations of one kind of exchange. */
export class Percentile {
  readonly #samples = new Float64Array(SAMPLES_MAX);
  #count = 0;
  #sorted: Float64Array | undefined;

  add(durationMs: number): void {
    this.#samples[this.#count % SAMPLES_MAX] = durationMs;
    this.#count += 1;
    if (this.#count <= SAMPLES_EXACT_MAX || this.#count % SAMPLES_PER_REFRESH === 0) this.#sorted = undefined;
  }

  get size(): number {
    return Math.min(this.#count, SAMPLES_MAX);
  }

  /** 0 without samples. With many, refreshed every 16: exact enough for a deadline. */
  p95(): number {
    this.#sorted ??= this.#samples.slice(0, this.size).sort();
    return this.#sorted[Math.floor(this.#sorted.length * 0.95)] ?? 0;
  }
}

export class NodeHealth {
  readonly writes = new Percentile();
  readonly reads = new Percentile();
  readonly #clock: Clock;
  readonly #late: Record<ExchangeKind, number> = { read: 0, write: 0 };
  #missesMs: number[] = [];
  #suspectSinceMs: number | undefined;
  #offline: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get state(): 'online' | 'suspect' | 'offline' {
    if (this.#offline !== undefined) return 'offline';
    if (this.isStuck('read') || this.isStuck('write')) return 'suspect';
    if (this.#suspectSinceMs === undefined) return 'online';
    if (this.#clock.monotonicMs() - this.#suspectSinceMs < SUSPICION_MS) return 'suspect';
    this.#suspectSinceMs = undefined;
    this.#missesMs = [];
    return 'online';
  }

  /** Why the node is not online; empty when it is. */
  get problem(): string {
    if (this.#offline !== undefined) return this.#offline;
    const { read, write } = this.#late;
    if (this.state === 'suspect' && read + write > 0) return `${read} reads and ${write} writes hang in it`;
    return this.state === 'suspect' ? 'it keeps missing deadlines' : '';
  }

  /** Whether as many late exchanges hang in the node as may. */
  isStuck(kind: ExchangeKind): boolean {
    return this.#late[kind] >= LATE_EXCHANGES_MAX;
  }

  /** Whether it missed a deadline within the last seconds. */
  get missedLately(): boolean {
    const last = this.#missesMs.at(-1);
    return last !== undefined && this.#clock.monotonicMs() - last < MISS_WINDOW_MS;
  }

  /** Counts an exchange as late until the function returned is called. */
  late(kind: ExchangeKind): () => void {
    this.#late[kind] += 1;
    let hangs = true;
    return () => {
      if (hangs) this.#late[kind] -= 1;
      hangs = false;
    };
  }

  record(outcome: NodeOutcome): void {
    if (outcome.kind === 'missedDeadline') this.#missed();
    else if (outcome.kind === 'failed') {
      if (hasCode(outcome.error, 'NodeUnavailable', 'NodeFailed')) this.#offline = outcome.error.message;
      else this.#missed();
    } else {
      const isWrite = outcome.kind === 'write';
      const deadlineMs = isWrite ? this.writeDeadlineMs() : this.readDeadlineMs();
      const durationMs = outcome.late ? Math.min(outcome.durationMs, deadlineMs) : outcome.durationMs;
      (isWrite ? this.writes : this.reads).add(durationMs);
    }
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
    if (this.#missesMs.length > MISSES_FOR_SUSPICION) this.#missesMs.shift();
    if (this.#missesMs.length >= MISSES_FOR_SUSPICION) this.#suspectSinceMs = nowMs;
  }
}

function deadline(durations: Percentile, minimumMs: number): number {
  if (durations.size < SAMPLES_FOR_DEADLINE_MIN) return DEADLINE_MS_UNKNOWN;
  return Math.min(DEADLINE_MS_MAX, Math.max(minimumMs, DEADLINE_FACTOR * durations.p95()));
}
