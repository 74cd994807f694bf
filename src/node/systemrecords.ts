/**
 * What a node has to remember besides values: records of the system namespace, so that they are durable by the same group commit, compacted
 * and replayed by the same code, and nothing else has to be kept beside the segments. The key is text, the value JSON. Each is there
 * twice, since what one sector of rot could undo here is more than a value.
 */
import { HoldfastError } from '../base/errors.ts';
import { addressOf, namespaceOf, SYSTEM_NAMESPACE } from './address.ts';
import type { NodeCore } from './core.ts';
import type { Guard } from './guard.ts';
import { readValue } from './value.ts';

const COPIES = 2;

export interface SystemRecord {
  readonly value: unknown;
  /** Grows with every change. */
  readonly version: number;
}

export class SystemRecords {
  readonly #core: NodeCore;
  readonly #guard: Guard;

  constructor(core: NodeCore, guard: Guard) {
    this.#core = core;
    this.#guard = guard;
  }

  /** All of them, by key. @throws NodeUnavailable when both copies of one cannot be read */
  async readAll(): Promise<Map<string, SystemRecord>> {
    const found = new Map<string, SystemRecord>();
    const bad = new Set<string>();
    for (const { key, copy } of await this.#keys()) {
      const bytes = await readValue(this.#core, this.#address(key, copy));
      if (bytes === undefined || bytes === 'corrupt') {
        bad.add(key);
        continue;
      }
      const record = JSON.parse(bytes.toString('utf8')) as SystemRecord;
      if ((found.get(key)?.version ?? -1) < record.version) found.set(key, record);
    }
    for (const key of bad) {
      if (found.has(key)) continue;
      throw new HoldfastError('NodeUnavailable', {
        detail: `node directory ${this.#guard.directory}: the record "${key}" is damaged in both its copies`,
      });
    }
    return found;
  }

  /** Durable when it resolves. Changes of one key come one after the other. `version` grows with each. */
  async write(key: string, value: unknown, version: number): Promise<void> {
    const bytes = Buffer.from(JSON.stringify({ version, value }));
    for (let copy = 0; copy < COPIES; copy++) {
      const address = this.#address(key, copy);
      const leave = await this.#core.enter(address);
      try {
        this.#guard.assertServing();
        const old = this.#core.locate(address);
        await this.#core.store(address, [bytes], bytes.length, () => undefined, {
          previous: old,
          isFragment: false,
        });
        if (old !== undefined) await this.#core.tombstone(address, old);
      } finally {
        leave();
      }
    }
  }

  async #keys(): Promise<{ key: string; copy: number }[]> {
    const { index } = this.#core;
    const keys: { key: string; copy: number }[] = [];
    for (let id = 0; id < index.entryLimit; id++) {
      if (!index.isLive(id) || namespaceOf(index.tag(id)) !== SYSTEM_NAMESPACE) continue;
      const address = await this.#core.addressOfEntry(id);
      if (address === undefined) continue;
      const text = Buffer.from(address.key).toString('utf8');
      keys.push({ key: text.slice(0, -2), copy: Number(text.slice(-1)) });
    }
    return keys;
  }

  #address(key: string, copy: number) {
    return addressOf(SYSTEM_NAMESPACE, Buffer.from(`${key}/${copy}`));
  }
}
