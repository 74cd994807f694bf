/** The results as text: a line per measurement, and at the end a table of medians with what was asked for. */
import type { Measurement } from './measure.ts';
import { goalRatio, type Scenario, type Step, type Unit } from './scenarios.ts';

const own = 'Holdfast';
const plain = 'MinIO';

export const costUnit = (unit: Unit) => (unit === 'MiB' ? 'CPU-s/GiB' : `CPU-s/1000 ${unit}`);

export function measurementLine(m: Measurement): string {
  const { load } = m;
  const failures = load.failed > 0 ? `  FAILED ${load.failed}: ${load.firstFailure}` : '';
  return [
    m.contender.padEnd(18),
    m.scenario.padEnd(20),
    `${m.rate.toFixed(0)} ${m.unit}/s`.padStart(18),
    `p50 ${load.p50Ms.toFixed(1)} ms`.padStart(14),
    `p99 ${load.p99Ms.toFixed(1)} ms`.padStart(14),
    `${m.cpuCost.toFixed(3)} ${costUnit(m.unit)}`.padStart(26),
    `client ${m.clientCpuCost.toFixed(3)}`.padStart(14),
    `RSS ${m.memoryMiB} MiB${failures}`,
  ].join('  ');
}

export function median(values: readonly number[]): number {
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

/** By how much of what was wanted the ratio is over or under it. */
function margin(ratio: number, wanted: number): string {
  const percent = (ratio / wanted - 1) * 100;
  return `${percent >= 0 ? '+' : '−'}${Math.abs(percent).toFixed(0)} %`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [line(rows[0] ?? []), rule, ...rows.slice(1).map(line)].join('\n');
}

/** A row per scenario, with the rate and the CPU cost of every contender. */
export function summaryTable(summaries: readonly Summary[]): string {
  const names = [...new Set(summaries.map((s) => s.contender))];
  const rows = [...Map.groupBy(summaries, (s) => s.scenario)].map(([scenario, group]) => {
    const unit = group[0]?.unit ?? 'requests';
    const cells = names.map((name) => {
      const summary = group.find((s) => s.contender === name);
      if (summary === undefined) return '';
      const failed = summary.failed > 0 ? `, ${summary.failed} FAILED` : '';
      return `${summary.rate.toFixed(0)}, ${significant(summary.cpuCost)}${failed}`;
    });
    return [scenario, `${unit}/s, ${costUnit(unit)}`, ...cells];
  });
  return table([['median', 'unit', ...names], ...rows]);
}

const significant = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(2));

/** Only what is wanted: the steps, the goal, and anything against another Holdfast. */
export function verdictTable(verdicts: readonly Verdict[]): string {
  const wanted = verdicts.filter(
    (v) => v.wanted !== undefined || v.goalMet !== undefined || v.against.startsWith(own),
  );
  const rows = wanted.map((v) => [
    v.scenario,
    v.of === 'rate' ? 'rate' : 'CPU',
    v.against,
    `${v.ratio.toFixed(2)} ×`,
    v.wanted === undefined ? '' : `${v.of === 'rate' ? '≥' : '<'} ${v.wanted} ×`,
    v.wanted === undefined ? '' : `${v.met ? 'met' : 'MISSED'} (${margin(v.ratio, v.wanted)})`,
    v.goalMet === undefined ? '' : `${v.goalMet ? 'met' : 'missed'} (${margin(v.ratio, goalRatio)})`,
  ]);
  return table([
    ['scenario', 'of', 'Holdfast ÷', 'ratio', 'step', 'is it met', `goal ${goalRatio} ×`],
    ...rows,
  ]);
}
