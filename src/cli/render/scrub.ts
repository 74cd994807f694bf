import type { ScrubResult } from '../../admin/report.ts';
import { formatBytes } from '../../base/units.ts';
import { duration } from './style.ts';

/** `holdfast scrub` as text. */
export function renderScrub(result: ScrubResult): string {
  const lines = [
    `verified  ${result.verifiedFragments} fragments, ${formatBytes(result.verifiedBytes)} in ${duration(result.durationMs)}`,
    `found     ${result.corrupt} corrupt, ${result.missing} missing, ${result.unreachable} on nodes that do not answer, ${result.orphans} orphans`,
  ];
  if (result.nodesAway > 0) lines.push(`skipped   ${result.nodesAway} nodes that do not answer`);
  if (result.dryRun) lines.push('repaired  nothing: this was a dry run');
  else
    lines.push(
      `repaired  ${result.rebuiltFragments} fragments; ${result.unrepairable} stripes could not be repaired; ${result.orphansDeleted} orphans deleted`,
    );
  return lines.join('\n');
}
