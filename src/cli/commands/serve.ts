/**
 * `holdfast serve`: starts a gateway, says where it is, and stops it in order. SIGINT and SIGTERM drain and exit 0; a second one exits at
 * once.
 */
import { loadConfig } from '../../config/load.ts';
import { createLog } from '../../config/log.ts';
import { type Gateway, startGateway } from '../../gateway/gateway.ts';
import { exitCodes } from '../exitcodes.ts';
import { endWithParent, waitForStop } from '../process.ts';
import { renderBanner } from '../render/banner.ts';

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
