/** The results as text: a line per measurement, and at the end a table of medians with what was asked for. */
import type { Measurement } from './measure.ts';
import { own, type Summary, type Verdict } from './results.ts';
import { goalRatio, type Unit } from './scenarios.ts';

const costUnit = (unit: Unit) => (unit === 'MiB' ? 'CPU-s/GiB' : `CPU-s/1000 ${unit}`);

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

/** A row per scenario, with the rate and the CPU cost of every contender, and the memory that each held in the end. */
export function summaryTable(summaries: readonly Summary[], measurements: readonly Measurement[]): string {
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
  const memory = names.map((name) => String(measurements.findLast((m) => m.contender === name)?.memoryMiB));
  return table([['median', 'unit', ...names], ...rows, ['RSS after', 'MiB', ...memory]]);
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
