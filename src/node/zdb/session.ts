/** A connection that speaks the 0-db protocol (0-db 2.0.7, read and observed). */
import { hasCode } from '../../base/errors.ts';
import { Bulk, type RespFailure, type RespValue, SimpleString } from '../../base/resp/values.ts';
import { MINUTE_MS, SECOND_MS } from '../../base/units.ts';
import { type Answer, LastReply, type Session } from '../server/session.ts';
import { greeting, greetsUs, runExtension } from '../wire/extension.ts';
import { EXTENSION } from '../wire/protocol.ts';
import type { Scope } from '../wire/verbs.ts';
import { auth, select } from './access.ts';
import {
  type Arguments,
  type Command,
  failure,
  permissionDenied,
  unexpectedArguments,
  type ZdbContext,
  type ZdbState,
} from './context.ts';
import { type CommandName, commandName } from './names.ts';
import { kscan, rscan, scan } from './scans.ts';
import { dbsize, flush, nsdel, nsinfo, nslist, nsnew, nsset, reload } from './spaces.ts';
import { check, del, exists, get, history, keycur, keytime, length, mget, set } from './values.ts';

const WAIT_MS_DEFAULT = 5 * SECOND_MS;
const WAIT_MS_MIN = 100;
const WAIT_MS_MAX = 30 * MINUTE_MS;
const notSupported = failure('Command not supported');

/** What a real 0-db does for its administrators, and this node has no need of. */
const notHere: Command = (_, { isAdmin }) => (isAdmin ? notSupported : permissionDenied);

const ping: Command = () => new SimpleString('PONG');

const time: Command = ({ clock }) => {
  const nowMs = clock.nowMs();
  const seconds = Math.floor(nowMs / SECOND_MS);
  const microseconds = Math.floor((nowMs - seconds * SECOND_MS) * 1000);
  return [String(seconds), String(microseconds)].map((text) => Bulk.of(Buffer.from(text)));
};

const wait: Command = async ({ clock, waiters }, { namespace }, args) => {
  if (args.length < 1 || args.length > 2) return unexpectedArguments;
  const wanted = commandName(args[0]!.toString());
  if (wanted === undefined) return notSupported;
  const timeoutMs = args[1] === undefined ? WAIT_MS_DEFAULT : Number(args[1].toString());
  if (!(timeoutMs >= WAIT_MS_MIN && timeoutMs <= WAIT_MS_MAX)) return failure('Invalid timeout');
  const ran = await waiters.wait(clock, namespace.id, wanted, timeoutMs);
  return ran === undefined ? failure('Timeout') : new SimpleString(ran);
};

const info: Command = async ({ store, clock, startedAtMs, version }) => {
  const { nodeUuid, fragmentCount, usedBytes, freeBytes, damagedRecords } = await store.hello();
  const lines: [string, string | number][] = [
    ['server_name', `holdfast ${version}`],
    ['server_revision', nodeUuid],
    ['engine_revision', '2.0.7'],
    ['instance_id', nodeUuid],
    ['uptime', Math.floor((clock.nowMs() - startedAtMs) / SECOND_MS)],
    ['sync', 'always'],
    ['namespaces', store.namespaces.list().length],
    ['records', fragmentCount],
    ['data_size_bytes', usedBytes],
    ['data_disk_freespace_bytes', freeBytes],
    ['damaged_records', damagedRecords],
  ];
  return Bulk.of(Buffer.from(`# server\n${lines.map(([key, value]) => `${key}: ${value}\n`).join('')}`));
};

const commands: Readonly<Record<CommandName, Command>> = {
  '*': () => notSupported,
  WAIT: wait,
  MIRROR: notHere,
  MASTER: notHere,
  PING: ping,
  TIME: time,
  AUTH: auth,
  HOOKS: notHere,
  INDEX: notHere,
  DATA: notHere,
  SET: set,
  SETX: set,
  GET: get,
  MGET: mget,
  DEL: del,
  EXISTS: exists,
  CHECK: check,
  SCAN: scan,
  SCANX: scan,
  RSCAN: rscan,
  KSCAN: kscan,
  HISTORY: history,
  KEYCUR: keycur,
  LENGTH: length,
  KEYTIME: keytime,
  INFO: info,
  STOP: notHere,
  DBSIZE: dbsize,
  NSNEW: nsnew,
  NSDEL: nsdel,
  NSLIST: nslist,
  NSSET: nsset,
  NSINFO: nsinfo,
  NSJUMP: notHere,
  SELECT: select,
  RELOAD: reload,
  FLUSH: flush,
};

export class ZdbSession implements Session {
  readonly #context: ZdbContext;
  readonly #state: ZdbState;
  /** It has said that it knows our extension. */
  #isExtended = false;

  /** `rights`: of who has proven an identity; else those of a stranger at a 0-db. */
  constructor(context: ZdbContext, rights?: Omit<ZdbState, 'nonce'>) {
    this.#context = context;
    this.#state = {
      namespace: context.store.namespaces.default,
      isAdmin: context.adminPassword.length === 0,
      mayWrite: true,
      ...rights,
      nonce: undefined,
    };
  }

  async handle(request: readonly Bulk[]): Promise<Answer> {
    if (this.#state.namespace.removed) {
      return new LastReply(failure('Your active namespace is not available anymore (probably removed).'));
    }
    const word = request[0]!.toString();
    if (word === EXTENSION && this.#isExtended)
      return runExtension(request, this.#scope, this.#context.onFault);
    if (word === 'HELLO' && greetsUs(request)) {
      this.#isExtended = true;
      return greeting(this.#scope);
    }
    const name = commandName(word);
    if (name === undefined) return notSupported;
    const reply = await this.#run(name, request.slice(1));
    this.#context.waiters.ran(this.#state.namespace.id, name);
    return reply;
  }

  close(): void {}

  get #scope(): Scope {
    const { namespace, mayWrite } = this.#state;
    return { store: this.#context.store, namespace, mayWrite };
  }

  async #run(name: CommandName, args: Arguments): Promise<RespValue> {
    try {
      return await commands[name](this.#context, this.#state, args);
    } catch (error) {
      const known = answerFor(error, name);
      if (known === undefined) throw error;
      return known;
    }
  }
}

const writing: ReadonlySet<CommandName> = new Set(['SET', 'SETX', 'DEL', 'NSNEW', 'NSDEL', 'NSSET']);

/** What 0-db says in such a case; where it has no words, ours. */
function answerFor(error: unknown, name: CommandName): RespFailure | undefined {
  if (hasCode(error, 'QuotaExceeded')) return failure('No space left on this namespace');
  if (hasCode(error, 'NodeFull', 'NodeFailed', 'NodeUnavailable')) {
    return failure(writing.has(name) ? 'Cannot write data right now' : 'Cannot read data right now');
  }
  if (hasCode(error, 'FragmentCorrupt')) return failure('The stored value is damaged');
  if (hasCode(error, 'InvalidArgument')) return failure(error.message);
  return undefined;
}
