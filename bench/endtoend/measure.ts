/** One measurement: a scenario against a contender, with what it cost the server. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { runLoad } from '../load/client.ts';
import type { LoadResult, Plan } from '../load/plan.ts';
import type { Contender } from '../peers/contender.ts';
import { cpuSeconds, memoryMiB } from './processes.ts';
import type { Unit } from './scenarios.ts';

const QUIET_SHARE_MAX = 0.05;
const QUIET_SAMPLE_MS = 300;
const SETTLE_MS_MAX = 10_000;
const KIB = 1024;
const run = promisify(execFile);

export interface Measurement {
  readonly scenario: string;
  readonly contender: string;
  readonly round: number;
  readonly unit: Unit;
  /** Units a second. */
  readonly rate: number;
  /** The server's CPU time: seconds a GiB, or a 1,000 requests or keys. */
  readonly cpuCost: number;
  /** The load generator's, in the same unit. */
  readonly clientCpuCost: number;
  readonly memoryMiB: number;
  readonly load: LoadResult;
}

export interface Task {
  readonly scenario: string;
  readonly round: number;
  readonly unit: Unit;
  readonly unitsPerRequest: number;
  readonly plan: Plan;
}

const unitsOfCost = (unit: Unit) => (unit === 'MiB' ? KIB : 1000);

export async function measure(contender: Contender, task: Task): Promise<Measurement> {
  const cpuBefore = totalCpuSeconds(contender);
  const load = await runLoad(task.plan);
  const cpu = totalCpuSeconds(contender) - cpuBefore;
  const { scenario, round, unit } = task;
  const units = load.requests * task.unitsPerRequest;
  const cost = (seconds: number) => (units === 0 ? 0 : (seconds / units) * unitsOfCost(unit));
  return {
    scenario,
    contender: contender.name,
    round,
    unit,
    rate: units / (load.elapsedMs / 1000),
    cpuCost: cost(cpu),
    clientCpuCost: cost(load.clientCpuSeconds),
    memoryMiB: memoryMiB(contender.pid),
    load,
  };
}

function totalCpuSeconds({ pid, helpers = [] }: Contender): number {
  return [pid, ...helpers].reduce((sum, each) => sum + cpuSeconds(each), 0);
}

/** Waits until what was written is on the disk and no server is still at work for an earlier measurement. */
export async function settle(contenders: readonly Contender[]): Promise<void> {
  await run('sync');
  const endMs = performance.now() + SETTLE_MS_MAX;
  const total = () => contenders.reduce((sum, contender) => sum + totalCpuSeconds(contender), 0);
  for (let before = total(); performance.now() < endMs; before = total()) {
    await new Promise((resolve) => setTimeout(resolve, QUIET_SAMPLE_MS));
    if (total() - before <= (QUIET_SHARE_MAX * QUIET_SAMPLE_MS) / 1000) return;
  }
}
