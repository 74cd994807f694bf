/** What is asked of every contender, and what must be true of the answers. */
import type { LoadResult, Plan } from '../load/plan.ts';
import type { Target } from '../load/presign.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const REQUESTS_MAX = 10_000_000;
const PAGE_KEYS = 1000;
const LISTED_KEYS = 10_000;
const KEYS_AT_ONCE = 32;
const PREPARATION_MS_MAX = 600_000;

export const bucket = 'bench';

export type Unit = 'MiB' | 'requests' | 'keys';

export interface Step {
  readonly of: 'rate' | 'cpu';
  readonly against: 'MinIO' | 'MinIO, SSE-S3';
  /** Holdfast ÷ the other: at least this where it is a rate, at most this where it is CPU time. */
  readonly ratio: number;
}

/** Objects that must be there before the rounds. */
export interface Prefill {
  readonly name: string;
  readonly paths: readonly string[];
  readonly bytes: number;
  readonly connections: number;
}

export interface Scenario {
  readonly name: string;
  readonly unit: Unit;
  readonly unitsPerRequest: number;
  readonly prefill?: Prefill;
  readonly steps: readonly Step[];
  /** Whether what a measurement wrote is deleted after it. */
  readonly fillsDisk?: boolean;
  readonly plan: (target: Target, durationMs: number, round: number) => Plan;
}

interface Transfer {
  readonly size: string;
  readonly bytes: number;
  readonly connections: number;
  readonly steps: readonly Step[];
}

const names = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, i) => `/${bucket}/${prefix}/${String(i).padStart(5, '0')}`);

const volume = ({ bytes }: Transfer) =>
  bytes >= MIB
    ? ({ unit: 'MiB', unitsPerRequest: bytes / MIB } as const)
    : ({ unit: 'requests', unitsPerRequest: 1 } as const);

/** New names in every round: writing over an object costs some servers a quarter more, and none of them is asked to. */
function put(transfer: Transfer, count: number, awsChunked = false): Scenario {
  const { size, bytes, connections, steps } = transfer;
  const name = awsChunked ? `PUT ${size} chunked` : `PUT ${size}`;
  return {
    name,
    ...volume(transfer),
    steps,
    fillsDisk: bytes >= MIB,
    plan: (target, durationMs, round) => ({
      target,
      connections,
      method: 'PUT',
      paths: names(`${name}/${round}`, count),
      bodyBytes: bytes,
      awsChunked,
      requestsMax: REQUESTS_MAX,
      durationMs,
    }),
  };
}

function get(transfer: Transfer, count: number): Scenario {
  const { size, bytes, connections, steps } = transfer;
  const paths = names(`get/${size}`, count);
  return {
    name: `GET ${size}`,
    ...volume(transfer),
    prefill: { name: `prefill ${count} × ${size}`, paths, bytes, connections },
    steps,
    plan: (target, durationMs) => ({
      target,
      connections,
      method: 'GET',
      paths,
      bodyBytes: 0,
      requestsMax: REQUESTS_MAX,
      durationMs,
    }),
  };
}

/** Every page of a folder of keys, none of them twice in a row. */
function list(steps: readonly Step[]): Scenario {
  const paths = names('list', LISTED_KEYS);
  const pages = Array.from({ length: LISTED_KEYS / PAGE_KEYS }, (_, page) => paths[page * PAGE_KEYS - 1]);
  const queries = pages.map((last) => ({
    'list-type': '2',
    prefix: 'list/',
    ...(last === undefined ? {} : { 'start-after': last.slice(`/${bucket}/`.length) }),
  }));
  return {
    name: 'list 1,000 keys',
    unit: 'keys',
    unitsPerRequest: PAGE_KEYS,
    prefill: { name: `prefill ${LISTED_KEYS} × 1 KiB`, paths, bytes: KIB, connections: KEYS_AT_ONCE },
    steps,
    plan: (target, durationMs) => ({
      target,
      connections: 4,
      method: 'GET',
      paths: [`/${bucket}`],
      queries,
      bodyBytes: 0,
      requestsMax: REQUESTS_MAX,
      durationMs,
    }),
  };
}

const rate = (ratio: number, against: Step['against'] = 'MinIO'): Step => ({ of: 'rate', against, ratio });
const large = { size: '64 MiB', bytes: 64 * MIB, connections: 4 };
const middle = { size: '1 MiB', bytes: MIB, connections: 8 };
const small = { size: '4 KiB', bytes: 4 * KIB, connections: KEYS_AT_ONCE };

export const scenarios: readonly Scenario[] = [
  put({ ...large, steps: [rate(1.2), { of: 'cpu', against: 'MinIO', ratio: 1 }] }, 200),
  put({ ...large, steps: [] }, 200, true),
  get({ ...large, steps: [rate(0.8), rate(1.1, 'MinIO, SSE-S3')] }, 4),
  put({ ...middle, steps: [rate(2)] }, 5000),
  get({ ...middle, steps: [] }, 64),
  put({ ...small, steps: [rate(4)] }, 20_000),
  get({ ...small, steps: [rate(1.2)] }, 1000),
  list([rate(3)]),
];

/** What Holdfast is to be in the end: so many times the unencrypted MinIO, everywhere. */
export const goalRatio = 1.5;

export function prefillPlan(prefill: Prefill, target: Target): Plan {
  const { paths, bytes, connections } = prefill;
  return {
    target,
    connections,
    method: 'PUT',
    paths,
    bodyBytes: bytes,
    requestsMax: paths.length,
    durationMs: PREPARATION_MS_MAX,
  };
}

/** Deletes what a measurement wrote by `written`. */
export function deletionPlan(written: Plan, result: LoadResult): Plan {
  const paths = written.paths.slice(0, result.requests + result.failed);
  return {
    target: written.target,
    connections: written.connections,
    method: 'DELETE',
    paths,
    bodyBytes: 0,
    requestsMax: paths.length,
    durationMs: PREPARATION_MS_MAX,
  };
}
