/** What the measurements come to: medians, and Holdfast against each of the others beside what is required of it. */
import type { Measurement } from './measure.ts';
import { goalRatio, type Scenario, type Step, type Unit } from './scenarios.ts';

export const own = 'Holdfast';
const plain = 'MinIO';

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export interface Summary {
  readonly scenario: string;
  readonly contender: string;
  readonly unit: Unit;
  readonly rate: number;
  readonly cpuCost: number;
  readonly clientCpuCost: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly memoryMiB: number;
  readonly failed: number;
}

export interface Verdict {
  readonly scenario: string;
  readonly of: Step['of'];
  readonly against: string;
  /** Median over the rounds of Holdfast ÷ the other in the same round. */
  readonly ratio: number;
  readonly wanted?: number;
  readonly met?: boolean;
  readonly goalMet?: boolean;
}

/** The medians of every scenario and contender, in the order of measuring. */
export function summarise(measurements: readonly Measurement[]): Summary[] {
  const groups = Map.groupBy(measurements, (m) => `${m.scenario}\n${m.contender}`);
  return [...groups.values()].map((group) => {
    const first = group[0] as Measurement;
    const of = (value: (m: Measurement) => number) => median(group.map(value));
    return {
      scenario: first.scenario,
      contender: first.contender,
      unit: first.unit,
      rate: of((m) => m.rate),
      cpuCost: of((m) => m.cpuCost),
      clientCpuCost: of((m) => m.clientCpuCost),
      p50Ms: of((m) => m.load.p50Ms),
      p99Ms: of((m) => m.load.p99Ms),
      memoryMiB: of((m) => m.memoryMiB),
      failed: group.reduce((sum, m) => sum + m.load.failed, 0),
    };
  });
}

/** Both were measured within seconds in a round, so their ratio is steadier than either. Undefined when one of them was not. */
function pairedRatio(
  measurements: readonly Measurement[],
  scenario: string,
  against: string,
  of: Step['of'],
): number | undefined {
  const value = (m: Measurement) => (of === 'rate' ? m.rate : m.cpuCost);
  const ratios = measurements
    .filter((m) => m.scenario === scenario && m.contender === own)
    .flatMap((mine) => {
      const other = measurements.find(
        (m) => m.scenario === scenario && m.contender === against && m.round === mine.round,
      );
      return other === undefined ? [] : [value(mine) / value(other)];
    });
  return ratios.length === 0 ? undefined : median(ratios);
}

/** Holdfast against each of the others, step by step where one is required. */
export function judge(measurements: readonly Measurement[], scenarios: readonly Scenario[]): Verdict[] {
  const others = [...new Set(measurements.map((m) => m.contender))].filter((name) => name !== own);
  return scenarios.flatMap((scenario) =>
    others.flatMap((against) =>
      (['rate', 'cpu'] as const).flatMap((of) => {
        const ratio = pairedRatio(measurements, scenario.name, against, of);
        if (ratio === undefined) return [];
        const step = scenario.steps.find((wanted) => wanted.against === against && wanted.of === of);
        const verdict = { scenario: scenario.name, of, against, ratio };
        const goal = against === plain && of === 'rate' ? { goalMet: ratio >= goalRatio } : {};
        if (step === undefined) return [{ ...verdict, ...goal }];
        const met = of === 'rate' ? ratio >= step.ratio : ratio < step.ratio;
        return [{ ...verdict, wanted: step.ratio, met, ...goal }];
      }),
    ),
  );
}
