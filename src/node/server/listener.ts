/** Listens for connections, plain or TLS, and serves each. What is too much is refused at the door. */
import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { Gate } from '../../base/limits.ts';
import { MIB, SECOND_MS } from '../../base/units.ts';
import { serveConnection } from './connection.ts';
import type { OpenSession, Peer } from './session.ts';

/** Of all connections together, for requests above 16 KiB. */
const MEMORY_BYTES = 256 * MIB;
const KEEP_ALIVE_MS = 30 * SECOND_MS;

export interface ListenerParts {
  /** From node:net, or node:tls with the options of the grid's transport. Not listening yet. */
  readonly server: Server;
  readonly transport: Peer['transport'];
  readonly fingerprintOf: (socket: TLSSocket) => Buffer | undefined;
  readonly openSession: OpenSession;
  readonly connectionsMax: number;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

export interface Listener {
  readonly connections: number;
  /** Takes no new connections, ends the open ones, resolves when all are gone. */
  close(): Promise<void>;
}

/** Where to listen: an address, or a socket that was opened by who started this process. */
export type ListenTarget = { readonly host: string; readonly port: number } | { readonly fd: number };

/** @throws PortInUse with the address */
export async function listen(parts: ListenerParts, target: ListenTarget): Promise<Listener> {
  const { server, transport } = parts;
  const open = new Map<Socket, Promise<void>>();
  const memory = new Gate('memory for requests', MEMORY_BYTES);
  // Counts those in their handshake too.
  server.maxConnections = parts.connectionsMax;
  server.on(transport === 'tls' ? 'secureConnection' : 'connection', (socket: Socket) => {
    if (open.size >= parts.connectionsMax) {
      socket.destroy();
      return;
    }
    const peer: Peer = {
      transport,
      address: `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`,
      fingerprint: transport === 'tls' ? parts.fingerprintOf(socket as TLSSocket) : undefined,
    };
    // A TLS peer that has proven no identity came through its handshake: it is for us to refuse it.
    const isUnknown = transport === 'tls' && peer.fingerprint === undefined;
    const session = isUnknown ? undefined : parts.openSession(peer);
    if (session === undefined) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const served = serveConnection({ socket, session, memory, clock: parts.clock, onError: parts.onError });
    open.set(socket, served);
    void served.finally(() => open.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const detail = 'fd' in target ? 'the socket handed over' : `${target.host}:${target.port}`;
      reject(
        error.code === 'EADDRINUSE'
          ? new HoldfastError('PortInUse', { detail: `${detail} is in use already`, cause: error })
          : new HoldfastError('ConfigInvalid', {
              detail: `cannot listen on ${detail}: ${error.message}`,
              cause: error,
            }),
      );
    });
    server.listen({ ...target, backlog: 1024 }, () => resolve());
  });
  server.removeAllListeners('error');
  server.on('error', parts.onError);
  return {
    get connections() {
      return open.size;
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open.keys()) socket.destroy();
      await Promise.all(open.values());
      await closed;
    },
  };
}
