/**
 * A daemon of ours as a FragmentStore (src/node/wire/protocol.ts). Two connections: writes on one, so that a large fragment does not stand
 * in the way of a read; everything else on the other. Many requests are in flight on each.
 */
import type { Clock } from '../../base/clock.ts';
import { type ErrorCode, errorTable, HoldfastError } from '../../base/errors.ts';
import { Gate } from '../../base/limits.ts';
import type { Random } from '../../base/random.ts';
import { Bulk, RespFailure, type RespValue, SimpleString } from '../../base/resp/values.ts';
import { MIB } from '../../base/units.ts';
import { FRAGMENT_NAME_BYTES } from '../../coding/trailer.ts';
import { storedLength, validName } from '../../node/fragments.ts';
import type { ListedFragment, ListPage, NodeHello } from '../../node/fragmentstore.ts';
import type { Writer } from '../../node/registers.ts';
import {
  LIST_ENTRY_BYTES,
  LIST_PAGE_MAX,
  PROTOCOL,
  PROTOCOL_VERSION,
  type Verb,
} from '../../node/wire/protocol.ts';
import type { Channel } from './channel.ts';
import { Link } from './link.ts';
import { selectNamespace } from './select.ts';
import { addressText, type NodeTarget, type RemoteStore } from './target.ts';

/** Fragments that are on their way to the node (design/commits.md: "Bytes in memory per node are bounded"). */
const SENDING_BYTES_MAX = 16 * MIB;
const NAMES_PER_DELETE = 1000;

export interface RemoteSeams {
  readonly clock: Clock;
  readonly random: Random;
}

export class HoldfastNode implements RemoteStore {
  readonly transport: string;
  readonly #target: NodeTarget;
  readonly #writes: Link;
  readonly #reads: Link;
  readonly #sending: Gate;
  #writer: Writer = { logId: 0, term: 0, start: 0 };
  #registers: readonly Writer[] = [];

  constructor(target: NodeTarget, { clock, random }: RemoteSeams) {
    this.#target = target;
    this.transport = target.transport;
    const begin = (channel: Channel) => this.#begin(channel);
    this.#writes = new Link({ target, clock, random, begin });
    this.#reads = new Link({ target, clock, random, begin });
    this.#sending = new Gate(`send queue of ${addressText(target)}`, SENDING_BYTES_MAX);
  }

  get registers(): readonly Writer[] {
    return this.#registers;
  }

  useWriter(writer: Writer): void {
    this.#writer = writer;
  }

  async fence({ logId, term, start }: Writer): Promise<void> {
    await this.#ask(this.#writes, 'FENCE', logId, term, start);
  }

  async hello(): Promise<NodeHello> {
    const [fields] = await this.#ask(this.#reads, 'HELLO');
    return this.#helloIn(fields);
  }

  async put(name: Uint8Array, pieces: readonly Uint8Array[]): Promise<void> {
    validName(name);
    const bytes = storedLength(pieces);
    if (!this.#sending.tryAcquire(bytes)) await this.#sending.acquire(bytes);
    try {
      const { logId, term, start } = this.#writer;
      const [results] = await this.#ask(this.#writes, 'PUT', logId, term, start, name, pieces);
      const result = Array.isArray(results) ? (results as readonly RespValue[])[0] : undefined;
      if (result instanceof RespFailure) throw this.#error(result.text);
      if (!(result instanceof SimpleString)) throw this.#nonsense('PUT');
    } finally {
      this.#sending.release(bytes);
    }
  }

  async read(name: Uint8Array, offsetBytes: number, target: Uint8Array): Promise<void> {
    const [bytes] = await this.#ask(this.#reads, 'READ', name, offsetBytes, target.length);
    if (!(bytes instanceof Bulk)) throw this.#nonsense('READ');
    if (bytes.length !== target.length) {
      throw new HoldfastError('FragmentCorrupt', {
        detail: `node at ${addressText(this.#target)} answered ${bytes.length} bytes instead of ${target.length}`,
      });
    }
    let at = 0;
    for (const piece of bytes.pieces) {
      target.set(piece, at);
      at += piece.length;
    }
  }

  async length(name: Uint8Array): Promise<number | undefined> {
    const [length] = await this.#ask(this.#reads, 'LENGTH', name);
    if (length === null) return undefined;
    if (typeof length !== 'number' || length < 0) throw this.#nonsense('LENGTH');
    return length;
  }

  async delete(names: readonly Uint8Array[]): Promise<number> {
    let deleted = 0;
    for (let from = 0; from < names.length; from += NAMES_PER_DELETE) {
      const { logId, term, start } = this.#writer;
      const some = names.slice(from, from + NAMES_PER_DELETE);
      const [count] = await this.#ask(this.#writes, 'DELETE', logId, term, start, ...some);
      if (typeof count !== 'number' || count < 0 || count > some.length) throw this.#nonsense('DELETE');
      deleted += count;
    }
    return deleted;
  }

  async list(after: Uint8Array | undefined, limit: number): Promise<ListPage> {
    const wanted = Math.min(limit, LIST_PAGE_MAX);
    const [packed, more] = await this.#ask(this.#reads, 'LIST', after ?? Buffer.alloc(0), wanted);
    if (!(packed instanceof Bulk) || typeof more !== 'number' || packed.length % LIST_ENTRY_BYTES !== 0) {
      throw this.#nonsense('LIST');
    }
    const bytes = packed.toBuffer();
    const fragments: ListedFragment[] = [];
    let last = after && Buffer.from(after);
    for (let at = 0; at < bytes.length; at += LIST_ENTRY_BYTES) {
      const name = Buffer.from(bytes.subarray(at, at + FRAGMENT_NAME_BYTES));
      // Ascending, so that a node cannot keep who lists it for ever.
      if (last !== undefined && Buffer.compare(name, last) <= 0) throw this.#nonsense('LIST');
      fragments.push({ name, storedLengthBytes: bytes.readUInt32BE(at + FRAGMENT_NAME_BYTES) });
      last = name;
    }
    if (fragments.length > wanted || (more !== 0 && fragments.length === 0)) throw this.#nonsense('LIST');
    return { fragments, next: more === 0 ? undefined : fragments.at(-1)!.name };
  }

  async verify(name: Uint8Array): Promise<'intact' | 'corrupt' | 'missing'> {
    const [verdicts] = await this.#ask(this.#reads, 'VERIFY', name);
    const verdict = Array.isArray(verdicts) ? (verdicts as readonly RespValue[])[0] : undefined;
    if (verdict === 1) return 'intact';
    if (verdict === 0) return 'corrupt';
    if (verdict === -1) return 'missing';
    throw this.#nonsense('VERIFY');
  }

  async close(): Promise<void> {
    this.#writes.close();
    this.#reads.close();
  }

  async #begin(channel: Channel): Promise<void> {
    if (!this.#target.isSelected) await selectNamespace(channel, this.#target);
    const reply = await channel.ask('HELLO', PROTOCOL, PROTOCOL_VERSION);
    if (reply instanceof RespFailure && reply.text.startsWith('JoinRefused')) throw this.#error(reply.text);
    if (reply instanceof RespFailure) {
      throw new HoldfastError('NodeUnavailable', {
        detail: `node at ${addressText(this.#target)} is no Holdfast node ("${reply.text}"); add it as zdb://`,
      });
    }
    this.#helloIn(reply);
  }

  async #ask(link: Link, verb: Verb, ...request: Parameters<Channel['ask']>): Promise<readonly RespValue[]> {
    const channel = await link.channel();
    const [status, ...values] = await channel.askBeside(verb, ...request);
    if (status instanceof RespFailure) throw this.#error(status.text);
    if (!(status instanceof SimpleString)) throw this.#nonsense(verb);
    return values;
  }

  #helloIn(fields: RespValue | undefined): NodeHello {
    if (!Array.isArray(fields)) throw this.#nonsense('HELLO');
    const texts = (fields as readonly RespValue[]).map((field) =>
      field instanceof Bulk ? field.toString() : '',
    );
    const values = new Map<string, string>();
    for (let i = 0; i + 1 < texts.length; i += 2) values.set(texts[i]!, texts[i + 1]!);
    const number = (name: string) => {
      const value = Number(values.get(name));
      if (!Number.isFinite(value) || value < 0) throw this.#nonsense('HELLO');
      return value;
    };
    const nodeUuid = values.get('nodeUuid') ?? '';
    if (!/^[0-9a-f]{32}$/.test(nodeUuid)) throw this.#nonsense('HELLO');
    this.#registers = readRegisters(values.get('registers') ?? '');
    return {
      nodeUuid,
      durable: number('durable') === 1,
      durableAppends: number('durableAppends'),
      fragmentCount: number('fragmentCount'),
      usedBytes: number('usedBytes'),
      capacityBytes: number('capacityBytes'),
      freeBytes: number('freeBytes'),
      filesystemId: values.get('filesystemId') ?? '',
      damagedRecords: number('damagedRecords'),
    };
  }

  /** `CODE what is wrong` as an error of ours; a code that no node may answer is a failure of the node. */
  #error(text: string): HoldfastError {
    const space = text.indexOf(' ');
    const code = space < 0 ? text : text.slice(0, space);
    const known = Object.hasOwn(errorTable, code) ? (code as ErrorCode) : undefined;
    const detail = `node at ${addressText(this.#target)}: ${space < 0 ? text : text.slice(space + 1)}`;
    if (known === 'QuotaExceeded') return new HoldfastError('NodeFull', { detail });
    return new HoldfastError(known !== undefined && answerable.has(known) ? known : 'NodeUnavailable', {
      detail,
    });
  }

  #nonsense(verb: string): HoldfastError {
    return new HoldfastError('NodeUnavailable', {
      detail: `node at ${addressText(this.#target)} answered ${verb} with something that nobody can read`,
    });
  }
}

const answerable: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(['FragmentMissing', 'FragmentCorrupt', 'FragmentConflict', 'NodeFull', 'NodeFailed'] as const),
  ...(['NodeUnavailable', 'TokenSuperseded', 'InvalidArgument', 'AccessDenied', 'JoinRefused'] as const),
]);

/** `log:term:start`, divided by commas. */
function readRegisters(text: string): Writer[] {
  return text.split(',').flatMap((one) => {
    const [logId, term, start] = one.split(':').map(Number);
    const isWhole = [logId, term, start].every((part) => Number.isSafeInteger(part));
    return isWhole && one !== '' ? [{ logId: logId!, term: term!, start: start! }] : [];
  });
}
