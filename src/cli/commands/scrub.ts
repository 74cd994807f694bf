import type { ScrubResult } from '../../admin/report.ts';
import { callServer, type OnlineOptions } from '../controlclient.ts';
import { exitCodes } from '../exitcodes.ts';
import { renderScrub } from '../render/scrub.ts';

/** Exit code 3 when something was found that could not be repaired (or, in a dry run, anything at all). */
export async function scrubCommand(
  options: OnlineOptions & { readonly dryRun?: boolean; readonly deleteOrphans?: boolean },
): Promise<number> {
  const result = await callServer<ScrubResult>(options, 'POST', '/scrub', {
    dryRun: options.dryRun === true,
    deleteOrphans: options.deleteOrphans === true,
  });
  process.stdout.write(`${options.json ? JSON.stringify(result, null, 2) : renderScrub(result)}\n`);
  const found = result.corrupt + result.missing + result.unreachable + result.nodesAway;
  const bad = result.dryRun ? found > 0 : result.unrepairable + result.unreachable + result.nodesAway > 0;
  return bad ? exitCodes.degraded : exitCodes.ok;
}
