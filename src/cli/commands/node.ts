/** `holdfast node`: runs a 3Node until it is told to stop. */
import { readFileSync } from 'node:fs';
import { systemClock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { systemRandom } from '../../base/random.ts';
import { DAY_MS } from '../../base/units.ts';
import { type Config, loadConfig, parseAddress } from '../../config/load.ts';
import { createLog } from '../../config/log.ts';
import { version } from '../../config/version.ts';
import { startDaemon } from '../../node/daemon.ts';
import { realDisk } from '../../node/realdisk.ts';
import { exitCodes } from '../exitcodes.ts';
import { endWithParent, waitForStop } from '../process.ts';

export async function nodeCommand(flags: Record<string, unknown>): Promise<number> {
  const file = flags['config'] as string | undefined;
  const input = { command: 'node', flags, environment: process.env } as const;
  const config = loadConfig(file === undefined ? input : { ...input, file });
  const log = createLog(config);
  endWithParent();
  const stop = waitForStop();
  const ended = Promise.withResolvers<Error>();
  const listen = listenTarget(config, 'node.listen');
  const tlsListen = listenTarget(config, 'node.tls-listen');
  const adminPassword = readPassword(config);
  const daemon = await startDaemon({
    directory: config.string('node.data'),
    ...{ listen, tlsListen, adminPassword, version, log },
    wantsJoinToken: flags['join-token'] === true,
    capacityBytes: config.optionalNumber('node.capacity'),
    connectionsMax: config.number('node.connections'),
    scrubPassMs: config.number('node.scrub-days') * DAY_MS,
    scrubBytesPerSecond: config.number('node.scrub-rate'),
    ...{ disk: realDisk, clock: systemClock, random: systemRandom },
    onEnd: ended.resolve,
  });
  if (listen !== undefined && adminPassword.length === 0 && !isLocal(listen.host)) {
    log.warn(
      { address: listen.host },
      'there is no administrator password: whoever reaches this address may do anything; set --admin-password-file',
    );
  }
  const places = [
    ...(listen === undefined ? [] : [`${listen.host}:${daemon.port}`]),
    ...(tlsListen === undefined ? [] : [`${tlsListen.host}:${daemon.tls?.port} (TLS)`]),
  ];
  process.stderr.write(
    `holdfast: node ${daemon.nodeUuid} in ${config.string('node.data')} listens on ${places.join(' and ') || 'nothing'}\n`,
  );
  if (daemon.tls !== undefined) {
    const { fingerprint, joinToken } = daemon.tls;
    process.stderr.write(`holdfast: its identity is ${fingerprint}\n`);
    if (joinToken !== undefined)
      process.stderr.write(`holdfast: join token, good for one day and one grid: ${joinToken}\n`);
  }
  const reason = await Promise.race([stop, ended.promise]);
  if (reason === undefined) process.stderr.write('holdfast: closing the node; again to stop at once\n');
  await daemon.close();
  if (reason === undefined) return exitCodes.ok;
  process.stderr.write(`holdfast: ${reason.message}\n`);
  return exitCodes.failed;
}

function listenTarget(
  config: Config,
  name: 'node.listen' | 'node.tls-listen',
): { host: string; port: number } | undefined {
  const text = config.string(name);
  return text === 'off' ? undefined : parseAddress(text, config.source(name));
}

function isLocal(host: string): boolean {
  return host === '::1' || host === 'localhost' || /^127\./.test(host);
}

/** The first line of the file. */
function readPassword(config: Config): Buffer {
  const path = config.optional('node.admin-password-file');
  if (path === undefined) return Buffer.alloc(0);
  const source = config.source('node.admin-password-file');
  let text: string;
  try {
    text = readFileSync(path, 'latin1').split(/\r?\n/, 1)[0] ?? '';
  } catch (cause) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `${source}: ${path} cannot be read (${(cause as Error).message})`,
      cause,
    });
  }
  if (text === '')
    throw new HoldfastError('ConfigInvalid', { detail: `${source}: the first line of ${path} is empty` });
  return Buffer.from(text, 'latin1');
}
