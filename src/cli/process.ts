/** How a server's process ends: by a signal, or with the process that started it. */
import { exitCodes } from './exitcodes.ts';

/** npm hands a signal on that the terminal has already delivered: repetitions within this time count once. */
const SAME_SIGNAL_MS = 500;

/** Started by bin/holdfast.js: a server whose parent was killed would go on unseen, holding port and data. */
export function endWithParent(): void {
  process.channel?.unref();
  process.once('disconnect', () => process.exit(exitCodes.failed));
}

/** Resolves at the first SIGINT or SIGTERM; a later one ends the process. */
export function waitForStop(): Promise<undefined> {
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
