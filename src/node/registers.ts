/**
 * The highest token that any command of a log has brought, kept durably for each log id (design/commits.md, "Token"). Lower ones are
 * refused. A token is (term, start), compared in that order. A higher one is let in only after everything lower that was let in before has
 * ended, and after the register is on stable storage.
 */
import { HoldfastError } from '../base/errors.ts';
import type { SystemRecords } from './systemrecords.ts';

export interface Writer {
  readonly logId: number;
  readonly term: number;
  readonly start: number;
}

export interface StoredRegister {
  readonly writer: Writer;
  readonly version: number;
}

interface Register {
  highest: Writer | undefined;
  /** As it is on stable storage. */
  durable: Writer | undefined;
  version: number;
  /** Operations of the present token that have not ended. */
  running: number;
  idle: (() => void) | undefined;
  raising: Promise<unknown>;
}

function compare(a: Writer, b: Writer): number {
  return a.term - b.term || a.start - b.start;
}

export class Registers {
  readonly #system: SystemRecords;
  readonly #namespace: number;
  readonly #registers = new Map<number, Register>();

  constructor(system: SystemRecords, namespace: number, stored: readonly StoredRegister[]) {
    this.#system = system;
    this.#namespace = namespace;
    for (const { writer, version } of stored) {
      Object.assign(this.#register(writer.logId), { highest: writer, durable: writer, version });
    }
  }

  highest(logId: number): Writer | undefined {
    return this.#registers.get(logId)?.highest;
  }

  all(): readonly Writer[] {
    return [...this.#registers.values()].flatMap(({ highest }) => highest ?? []);
  }

  /**
   * Lets an operation in; call the result when it has ended.
   * @throws TokenSuperseded when a higher token was seen
   */
  async admit(writer: Writer): Promise<() => void> {
    const register = this.#register(writer.logId);
    if (register.durable === undefined || compare(writer, register.durable) !== 0) await this.fence(writer);
    this.#assertNotLower(register, writer);
    register.running += 1;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      register.running -= 1;
      if (register.running === 0) register.idle?.();
    };
  }

  /**
   * Raises the register; one's own token again is success. Resolves when everything lower has ended and the register is durable.
   * @throws TokenSuperseded
   */
  fence(writer: Writer): Promise<void> {
    const register = this.#register(writer.logId);
    const done = register.raising.then(() => this.#raise(register, writer));
    register.raising = done.catch(() => undefined);
    return done;
  }

  async #raise(register: Register, writer: Writer): Promise<void> {
    this.#assertNotLower(register, writer);
    if (register.durable !== undefined && compare(writer, register.durable) === 0) return;
    // From here on nothing lower is let in, so what runs comes to an end.
    register.highest = writer;
    while (register.running > 0) {
      await new Promise<void>((resolve) => {
        register.idle = resolve;
      });
      register.idle = undefined;
    }
    register.version += 1;
    await this.#system.write(`register/${this.#namespace}/${writer.logId}`, writer, register.version);
    register.durable = writer;
  }

  #assertNotLower(register: Register, writer: Writer): void {
    const { highest } = register;
    if (highest === undefined || compare(writer, highest) >= 0) return;
    throw new HoldfastError('TokenSuperseded', {
      detail: `log ${writer.logId}: term ${writer.term} was superseded by term ${highest.term}`,
      fields: { Term: String(highest.term), Start: String(highest.start) },
    });
  }

  #register(logId: number): Register {
    let register = this.#registers.get(logId);
    if (register === undefined) {
      register = {
        ...{ highest: undefined, durable: undefined, version: 0 },
        ...{ running: 0, idle: undefined, raising: Promise.resolve() },
      };
      this.#registers.set(logId, register);
    }
    return register;
  }
}
