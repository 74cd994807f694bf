import type { StatusReport } from '../../admin/report.ts';
import { callServer, type OnlineOptions } from '../controlclient.ts';
import { exitCodes } from '../exitcodes.ts';
import { renderStatus } from '../render/status.ts';

const WATCH_INTERVAL_MS = 1000;

/** Exit code 0 when everything is at full redundancy, 3 when it is not. */
export async function statusCommand(options: OnlineOptions & { readonly watch?: boolean }): Promise<number> {
  for (;;) {
    const report = await callServer<StatusReport>(options, 'GET', '/status');
    const colour = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
    const text = options.json ? JSON.stringify(report, null, 2) : renderStatus(report, { colour });
    if (!options.watch) {
      process.stdout.write(`${text}\n`);
      return report.health === 'ok' ? exitCodes.ok : exitCodes.degraded;
    }
    process.stdout.write(process.stdout.isTTY ? `\u001b[H\u001b[2J${text}\n` : `${text}\n`);
    await new Promise((resolve) => setTimeout(resolve, WATCH_INTERVAL_MS));
  }
}
