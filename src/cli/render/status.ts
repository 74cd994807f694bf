/** `holdfast status` as text. The JSON form is the report itself. */
import type { NodeReport, StatusReport } from '../../admin/report.ts';
import { formatBytes } from '../../base/units.ts';
import { bar, columns, duration, paint, percent, type RenderOptions } from './style.ts';

function healthStyle(report: StatusReport): 'green' | 'yellow' | 'red' {
  if (report.health === 'ok') return 'green';
  return report.health === 'degraded' ? 'yellow' : 'red';
}

/** `1 bucket`, `2 buckets`. */
function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

export function renderStatus(report: StatusReport, options: RenderOptions): string {
  const lines = [
    `Holdfast ${report.version}  ${paint(report.health, healthStyle(report), options)}  ${report.endpoint}  ` +
      `${report.profile.k} + ${report.profile.m}, up ${duration(report.generatedAtMs - report.startedAtMs)}`,
    '',
    `Objects   ${report.objects.count} (${formatBytes(report.objects.bytes)}) in ${count(report.objects.buckets, 'bucket')}`,
    `Capacity  ${formatBytes(report.capacity.usedBytes)} of ${formatBytes(report.capacity.usableBytes)} used` +
      bar(report.capacity.usedBytes, report.capacity.usableBytes, options),
    `Survives  ${report.survives.text}`,
    ...stripeLines(report, options),
    ...healingLines(report),
    ...scrubLines(report),
    `Kernels   ${report.kernels.text}; codecs: ${report.codecs.join(', ')}`,
    '',
    ...renderNodes(report.nodes, options),
  ];
  if (report.warnings.length > 0) {
    lines.push('', ...report.warnings.map((warning) => paint(`! ${warning}`, 'yellow', options)));
  }
  return lines.join('\n');
}

function stripeLines(report: StatusReport, options: RenderOptions): string[] {
  const { stripes } = report;
  const parts = [
    `${stripes.incomplete} incomplete`,
    `${stripes.atRisk} at risk`,
    `${stripes.unreadable} unreadable`,
    `${stripes.narrow} narrow`,
  ].join(', ');
  return [
    `Stripes   ${stripes.complete} of ${stripes.total} complete (${percent(stripes.complete, stripes.total)})` +
      bar(stripes.complete, stripes.total, options),
    `          ${parts}`,
  ];
}

function healingLines(report: StatusReport): string[] {
  const { healing } = report;
  const eta = healing.etaMs === undefined ? '' : `, about ${duration(healing.etaMs)} left`;
  const rate = healing.bytesPerSecond > 0 ? ` at ${formatBytes(healing.bytesPerSecond)}/s` : '';
  const lines = [
    `Healing   ${healing.queuedStripes} stripes queued, ${formatBytes(healing.remainingBytes)} to do${rate}${eta}; ` +
      `${healing.rebuiltFragments} fragments rebuilt since start`,
    ...healing.doing.map((line) => `          ${line}`),
  ];
  if (healing.unrepairable > 0)
    lines.push(`          ${healing.unrepairable} stripes cannot be repaired now`);
  if (healing.orphansWaiting > 0)
    lines.push(`          ${healing.orphansWaiting} orphans wait for a decision`);
  return lines;
}

function scrubLines(report: StatusReport): string[] {
  const { scrub } = report;
  const last =
    scrub.lastCompletedMs === undefined
      ? 'never completed'
      : `last completed ${duration(report.generatedAtMs - scrub.lastCompletedMs)} ago`;
  const found = scrub.foundCorrupt + scrub.foundMissing;
  return [
    `Scrub     ${scrub.running ? 'running, ' : ''}${last}; ${scrub.verifiedFragments} fragments ` +
      `(${formatBytes(scrub.verifiedBytes)}) verified and ${found} bad ones found since start`,
  ];
}

/** Of a node that nobody named a farm for: it is its own, under its uuid. */
const OWN_FARM = /^[0-9a-f]{32}$/;

export function renderNodes(nodes: readonly NodeReport[], options: RenderOptions): string[] {
  const head = ['NODE', 'STATE', 'USED', 'FREE', 'FRAGMENTS', 'WRITE P95', 'FARM', 'WHERE'];
  const rows = nodes.map((node) => [
    String(node.id),
    node.admin === 'active' ? node.state : `${node.state}, ${node.admin}`,
    formatBytes(node.usedBytes),
    formatBytes(node.freeBytes),
    String(node.fragments),
    `${node.writeP95Ms.toFixed(1)} ms`,
    [OWN_FARM.test(node.farm) ? '-' : node.farm, node.site, node.country].filter(Boolean).join(', '),
    node.problem === '' ? node.path : `${node.path}: ${node.problem}`,
  ]);
  const [headLine = '', ...lines] = columns([head, ...rows]);
  return [
    paint(headLine, 'grey', options),
    ...lines.map((line, i) => (nodes[i]?.state === 'online' ? line : paint(line, 'red', options))),
  ];
}
