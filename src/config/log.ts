import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from './load.ts';

/** The log: structured, to stderr; pretty on a terminal unless the configuration says otherwise. */
export function createLog(config: Config): Logger {
  const format = config.string('log.format');
  const options = {
    level: config.string('log.level'),
    base: null,
    redact: ['req.headers.authorization', 'authorization'],
  };
  const isPretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY === true);
  if (!isPretty) return pino(options, pino.destination({ dest: 2, sync: true }));
  return pino(
    options,
    pretty({ destination: 2, sync: true, translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname' }),
  );
}
