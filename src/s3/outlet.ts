/**
 * Sends large pieces of an answer from a native thread. Copying to the kernel and TCP's own work are most of what a large GET costs, and
 * on the event loop they would keep all other connections waiting. The head of the answer goes out by node; while nothing of node's is
 * waiting on the socket, the bytes of the body may follow by another way, since the answer's length was announced and node does not count.
 *
 * A client that does not take a piece in SEND_MS_MAX gets the rest of its answer by node, which can wait for it without a thread. TLS, and
 * answers that wait for others on their connection, go by node as well.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { HoldfastError } from '../base/errors.ts';
import { NativeJobError, type NativeJobs } from '../base/nativejobs.ts';

/** A tenth of it is what a piece of 1 MiB takes at 2 Gbit/s. */
const SEND_MS_MAX = 50;

/** In all connections: the threads are those that appends wait on, and a slow client holds one for as long as that. */
const SENDS_MAX = 24;

type SocketInternals = Socket & { readonly _handle?: { readonly fd?: number } | null };

export class Outlet {
  readonly #jobs: NativeJobs;
  readonly #response: ServerResponse;
  #slow = false;
  static #underWay = 0;

  constructor(jobs: NativeJobs, response: ServerResponse) {
    this.#jobs = jobs;
    this.#response = response;
  }

  /** Whether the next bytes of the body may go this way. */
  get open(): boolean {
    return !this.#slow && Outlet.#underWay < SENDS_MAX && this.#descriptor !== undefined;
  }

  get #descriptor(): number | undefined {
    const socket = this.#response.socket as SocketInternals | null;
    if (!socket || socket.destroyed || 'encrypted' in socket || socket.writableLength > 0) return undefined;
    const descriptor = socket._handle?.fd;
    return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : undefined;
  }

  /** Resolves to how many of the bytes were taken; with fewer than all, this is not open any more. Rejects when the connection has failed. */
  async send(bytes: Uint8Array): Promise<number> {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) return 0;
    const { addon } = this.#jobs;
    Outlet.#underWay += 1;
    try {
      const taken = await this.#jobs.run((id) => addon.sendBytes(id, descriptor, bytes, SEND_MS_MAX), bytes);
      this.#slow = taken < bytes.length;
      return taken;
    } catch (error) {
      if (!(error instanceof NativeJobError)) {
        // No job could be had: too many are under way, or too many descriptors open.
        this.#slow = true;
        return 0;
      }
      this.#response.destroy(error);
      throw connectionFailed(error);
    } finally {
      Outlet.#underWay -= 1;
    }
  }
}

/** That a client went away before it had its answer is no failure of ours. */
export function connectionFailed(cause: Error): HoldfastError {
  return new HoldfastError('RequestTimeout', { detail: 'The connection failed under the answer.', cause });
}
