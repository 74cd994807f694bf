/**
 * A client's TLS connection to a node. It is handed out when the handshake had the strength that is required and the node has proven the
 * pinned identity, or before anything is sent, refused. The node looks at ours afterwards: only its first reply says that it took it.
 */
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import { HoldfastError, hasCode } from '../errors.ts';
import { SECOND_MS } from '../units.ts';
import { shortFingerprint } from './fingerprint.ts';
import { checkedTransport, peerFingerprint } from './options.ts';

/** For name lookup, TCP and TLS together. */
export const DIAL_MS_MAX = 10 * SECOND_MS;
const KEEP_ALIVE_MS = 30 * SECOND_MS;

export interface DialTarget {
  readonly host: string;
  readonly port: number;
  /** From clientContext. */
  readonly context: SecureContext;
  /** 48 bytes; undefined only at first contact, where a person compares what comes back. */
  readonly fingerprint: Buffer | undefined;
}

export interface Dialled {
  readonly socket: TLSSocket;
  /** 'tls SecP384r1MLKEM1024' */
  readonly transport: string;
  /** Of the node, 48 bytes. */
  readonly fingerprint: Buffer;
}

/**
 * @throws NodeUnavailable with address and reason, TransportRefused, IdentityMismatch naming both fingerprints; `signal.reason` when
 * aborted
 */
export async function dialTls(target: DialTarget, signal?: AbortSignal): Promise<Dialled> {
  const { host, port, context } = target;
  signal?.throwIfAborted();
  const socket = connect({ host, port, secureContext: context, rejectUnauthorized: false });
  try {
    await handshake(socket, `${host}:${port}`, signal);
    const transport = checkedTransport(socket);
    const fingerprint = checkedIdentity(socket, target);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    return { socket, transport, fingerprint };
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    if (!hasCode(error, 'TransportRefused', 'IdentityMismatch')) throw error;
    throw new HoldfastError(error.code, { detail: `node ${host}:${port}: ${error.message}` });
  }
}

function handshake(socket: TLSSocket, address: string, signal: AbortSignal | undefined): Promise<void> {
  const unavailable = (why: string, cause?: unknown) =>
    new HoldfastError('NodeUnavailable', { detail: `node ${address}: ${why}`, cause });
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('secureConnect', onSecure).off('error', onError).off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onSecure = () => settle();
    const onAbort = () => settle(signal?.reason);
    const onError = (error: Error) => settle(unavailable(`no TLS connection (${error.message})`, error));
    const onClose = () => settle(unavailable('closed the connection during the handshake'));
    const onTimeout = () => settle(unavailable(`no TLS connection within ${DIAL_MS_MAX / SECOND_MS} s`));
    const timer = setTimeout(onTimeout, DIAL_MS_MAX);
    timer.unref();
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('secureConnect', onSecure).once('error', onError).once('close', onClose);
  });
}

function checkedIdentity(socket: TLSSocket, { fingerprint: pinned }: DialTarget): Buffer {
  const found = peerFingerprint(socket);
  if (!found) throw new HoldfastError('IdentityMismatch', { detail: 'it has no ML-DSA-87 identity' });
  if (pinned && !found.equals(pinned)) {
    throw new HoldfastError('IdentityMismatch', {
      detail: `its identity is ${shortFingerprint(found)}, pinned is ${shortFingerprint(pinned)}`,
    });
  }
  return found;
}
