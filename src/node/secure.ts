/**
 * The TLS side of a daemon: its identity, whom it serves, and first contact (design/keys.md, "Transport"). A grid that joins gets a namespace of
 * its own, which nobody gets at without TLS, since its password is random and told to nobody.
 */
import { join } from 'node:path';
import { createServer } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { Bulk, RespFailure, SimpleString } from '../base/resp/values.ts';
import { fullFingerprint, shortFingerprint } from '../base/tls/fingerprint.ts';
import { createIdentityFile, loadIdentityFile, type TlsIdentity, tlsIdentity } from '../base/tls/identity.ts';
import { peerFingerprint, serverOptions } from '../base/tls/options.ts';
import { SECOND_MS } from '../base/units.ts';
import { JoinDesk } from './join.ts';
import { makeJoinToken } from './jointokens.ts';
import { openPins, type Pins } from './pins.ts';
import { type Listener, type ListenTarget, listen } from './server/listener.ts';
import { type Answer, LastReply, type Peer, type Session } from './server/session.ts';
import type { NodeStore } from './store.ts';
import { failureOf } from './wire/verbs.ts';
import type { ZdbContext } from './zdb/context.ts';
import { ZdbSession } from './zdb/session.ts';

export const IDENTITY_KEY_FILE = 'identity.key';
const PASSWORD_BYTES = 32;
/** A stranger has this long to show a token. */
const STRANGER_MS_MAX = 15 * SECOND_MS;

export interface SecureParts {
  readonly directory: string;
  readonly store: NodeStore;
  readonly context: ZdbContext;
  readonly clock: Clock;
  readonly random: Random;
  readonly connectionsMax: number;
  readonly onError: (error: unknown) => void;
}

export interface SecureSide {
  /** For people to compare: eight groups of five characters. */
  readonly fingerprint: string;
  readonly fullFingerprint: string;
  /** Whether any grid is pinned. */
  readonly isEnrolled: boolean;
  /** A new one; it is shown once. */
  makeJoinToken(): Promise<string>;
  listen(target: ListenTarget): Promise<Listener & { readonly port: number }>;
}

/** @throws DataDirectoryInvalid, FormatTooNew */
export async function openSecureSide(parts: SecureParts): Promise<SecureSide> {
  const { directory, clock, random } = parts;
  const path = join(directory, IDENTITY_KEY_FILE);
  const { seed } = (await loadIdentityFile(path)) ?? (await createIdentityFile(path, random));
  const identity = await tlsIdentity(seed);
  const pins = await openPins(directory);
  const desk = new JoinDesk({
    ...{ directory, fingerprint: identity.fingerprint, pins, clock },
    prepare: (namespace) => prepareNamespace(parts, namespace),
  });
  return {
    fingerprint: shortFingerprint(identity.fingerprint),
    fullFingerprint: fullFingerprint(identity.fingerprint),
    isEnrolled: pins.grids.length > 0,
    makeJoinToken: () => makeJoinToken({ directory, fingerprint: identity.fingerprint, clock, random }),
    listen: (target) => listenSecurely(parts, identity, pins, desk, target),
  };
}

async function prepareNamespace({ store, random }: SecureParts, name: string): Promise<void> {
  const bytes = Buffer.from(name);
  if (store.namespaces.get(bytes) !== undefined) return;
  const password = Buffer.from(random.bytes(PASSWORD_BYTES).toString('hex'));
  await store.namespaces.create(bytes, { password, isPublic: false });
}

async function listenSecurely(
  parts: SecureParts,
  identity: TlsIdentity,
  pins: Pins,
  desk: JoinDesk,
  target: ListenTarget,
): Promise<Listener & { readonly port: number }> {
  const { context, clock, connectionsMax, onError } = parts;
  const server = createServer(serverOptions(identity));
  const listener = await listen(
    {
      ...{ server, transport: 'tls', connectionsMax, clock, onError },
      fingerprintOf: peerFingerprint,
      openSession: (peer) => openSession(peer, context, pins, desk),
    },
    target,
  );
  const address = server.address();
  return Object.assign(listener, {
    port: typeof address === 'object' && address !== null ? address.port : 0,
  });
}

function openSession(peer: Peer, context: ZdbContext, pins: Pins, desk: JoinDesk): Session | undefined {
  const { fingerprint } = peer;
  if (fingerprint === undefined) return undefined;
  const admission = pins.admission(fingerprint);
  const namespace = admission && context.store.namespaces.get(Buffer.from(admission.grid.namespace));
  return namespace === undefined
    ? new JoinSession(desk, fingerprint, peer.address)
    : new ZdbSession(context, { namespace, isAdmin: false, mayWrite: true });
}

/** Of a peer that no pin knows: it may join, and nothing else. */
class JoinSession implements Session {
  readonly lifetimeMs = STRANGER_MS_MAX;
  readonly #desk: JoinDesk;
  readonly #fingerprint: Buffer;
  readonly #source: string;

  constructor(desk: JoinDesk, fingerprint: Buffer, address: string) {
    this.#desk = desk;
    this.#fingerprint = fingerprint;
    this.#source = address.slice(0, address.lastIndexOf(':'));
  }

  /** `JOIN token gridId`, with the grid's recovery identity behind it where there is one. Answers the name of the namespace. */
  async handle(request: readonly Bulk[]): Promise<Answer> {
    const [verb, token, gridId, recovery] = request;
    if (verb?.toString() !== 'JOIN' || token === undefined || gridId === undefined) {
      const own = shortFingerprint(this.#fingerprint);
      return new LastReply(
        new RespFailure(`JoinRefused this node does not know ${own}; it needs a join token`),
      );
    }
    try {
      const grid = await this.#desk.join({
        token: token.toString(),
        gridId: gridId.toBuffer(),
        gatewayFingerprint: this.#fingerprint,
        recoveryFingerprint:
          recovery === undefined || recovery.length === 0 ? undefined : recovery.toBuffer(),
        source: this.#source,
      });
      return new LastReply([new SimpleString('OK'), Bulk.of(Buffer.from(grid.namespace))]);
    } catch (error) {
      const failure = failureOf(error);
      if (failure === undefined) throw error;
      return new LastReply(failure);
    }
  }

  close(): void {}
}
