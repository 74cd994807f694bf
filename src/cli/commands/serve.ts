/**
 * `holdfast serve`: starts a gateway, says where it is, and stops it in order. SIGINT and SIGTERM drain and exit 0; a second one exits at
 * once. npm hands a signal on that the terminal has already delivered, so repetitions within 500 ms count once.
 */
import { loadConfig } from '../../config/load.ts';
import { createLog } from '../../config/log.ts';
import { type Gateway, startGateway } from '../../gateway/gateway.ts';
import { exitCodes } from '../exitcodes.ts';
import { renderBanner } from '../render/banner.ts';

const SAME_SIGNAL_MS = 500;

export async function serveCommand(flags: Record<string, unknown>): Promise<number> {
  const file = flags['config'] as string | undefined;
  const config = loadConfig({ flags, environment: process.env, ...(file === undefined ? {} : { file }) });
  const log = createLog(config);
  endWithParent();
  const stop = waitForStop();
  const gateway = await startGateway(config, process.env, log);
  process.on('SIGHUP', () => gateway.reloadTls());
  process.stderr.write(renderBanner(gateway.welcome));
  await stop;
  process.stderr.write('holdfast: finishing requests; again to stop at once\n');
  await closeInOrder(gateway, log);
  return exitCodes.ok;
}

/** Started by bin/holdfast.js: a server whose parent was killed would go on unseen, holding port and data. */
function endWithParent(): void {
  process.channel?.unref();
  process.once('disconnect', () => process.exit(exitCodes.failed));
}

/** Resolves at the first SIGINT or SIGTERM; a later one ends the process. */
function waitForStop(): Promise<undefined> {
  return new Promise((resolve) => {
    let firstMs: number | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      const nowMs = performance.now();
      if (firstMs === undefined) {
        firstMs = nowMs;
        resolve(undefined);
      } else if (nowMs - firstMs > SAME_SIGNAL_MS) {
        process.exit(signal === 'SIGINT' ? 130 : 143);
      }
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}

async function closeInOrder(
  gateway: Gateway,
  log: { error(fields: object, message: string): void },
): Promise<void> {
  try {
    await gateway.close();
  } catch (error) {
    log.error({ err: error }, 'closing failed; what was acknowledged is on disk');
  }
}
