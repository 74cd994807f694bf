/** Clients that wait until somebody runs a command in the same namespace (WAIT). */
import type { Clock } from '../../base/clock.ts';
import type { CommandName } from './names.ts';

/** More would only be a burden: they are told that the time is over. */
const WAITERS_MAX = 10_000;

interface Waiter {
  readonly namespace: number;
  /** '*': any. */
  readonly command: CommandName;
  readonly wake: (command: CommandName) => void;
}

export class Waiters {
  readonly #waiters = new Set<Waiter>();

  /** The command that was run; undefined when none was in time. */
  async wait(
    clock: Clock,
    namespace: number,
    command: CommandName,
    timeoutMs: number,
  ): Promise<CommandName | undefined> {
    if (this.#waiters.size >= WAITERS_MAX) return undefined;
    const { promise, resolve } = Promise.withResolvers<CommandName | undefined>();
    const waiter: Waiter = { namespace, command, wake: resolve };
    this.#waiters.add(waiter);
    const timer = clock.schedule(timeoutMs, () => resolve(undefined));
    try {
      return await promise;
    } finally {
      timer.cancel();
      this.#waiters.delete(waiter);
    }
  }

  ran(namespace: number, command: CommandName): void {
    for (const waiter of this.#waiters) {
      if (waiter.namespace !== namespace) continue;
      if (waiter.command === '*' || waiter.command === command) waiter.wake(command);
    }
  }
}
