/** Opens a TCP connection to a node. */
import { connect, type Socket } from 'node:net';
import { SECOND_MS } from '../../base/units.ts';

const KEEP_ALIVE_MS = 15 * SECOND_MS;

export function dialPlain(host: string, port: number): (signal: AbortSignal) => Promise<Socket> {
  return (signal) =>
    new Promise((resolve, reject) => {
      const socket = connect({
        host,
        port,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_MS,
      });
      const onAbort = () => {
        socket.destroy();
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      socket.once('error', reject).once('connect', () => {
        signal.removeEventListener('abort', onAbort);
        socket.off('error', reject);
        resolve(socket);
      });
    });
}
