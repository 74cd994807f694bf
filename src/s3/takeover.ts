/**
 * Takes a connection over from node's HTTP server for the rest of one request body, so that its bytes are copied once, by a native thread,
 * from the kernel to where they are sealed. node:http would read 64 KiB at a time, copy each piece into a fresh buffer, and leave the
 * last copy to us: 0.7 CPU-seconds a GiB instead of 0.2.
 *
 * The parser never learns of it. While we read, node does not (the flag that it uses itself to hold back a connection, `_paused`, is set).
 * When the connection is handed back, the parser is fed as many zeros as were taken, with its body callback out of the way, which costs
 * it nothing: it then stands where it would stand, whatever follows is parsed as ever, and no byte is seen by two readers. Keep-alive,
 * pipelining and half-closed connections stay node's business. Should node read all the same, two readers have shared the body: the
 * connection is ended, and what came of it is not to be trusted.
 *
 * What is touched are three internals that have been the same since Node 12: `socket._handle.fd`, `socket._paused`, and the parser in
 * `socket.parser`. Where one is missing, or anything about the request is unusual (TLS, framing of any kind, no length, another request on
 * the same connection, an upgrade), the body takes the ordinary way.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { NativeInlet } from '../base/native.ts';
import { jobCodes, NativeJobError, type NativeJobs } from '../base/nativejobs.ts';
import { MIB } from '../base/units.ts';

interface ParserInternals {
  execute(bytes: Uint8Array): number | Error;
  resume(): void;
  [callback: number]: unknown;
}

interface SocketInternals {
  readonly _handle?: { readonly fd?: number; readonly reading?: boolean } | null;
  _paused?: boolean;
  readonly parser?: ParserInternals | null;
}

/** Nobody reads them, so they take no memory. Long, since a body may have 5 GiB and every piece of it costs the event loop some µs. */
const zeros = new Uint8Array(16 * MIB);

/** Which property of a parser is the callback for body bytes; undefined when this Node's parser is another. */
function bodyCallback(parser: ParserInternals): number | undefined {
  const { kOnBody } = parser.constructor as { readonly kOnBody?: unknown };
  const isKnown = typeof parser.execute === 'function' && typeof parser.resume === 'function';
  return isKnown && typeof kOnBody === 'number' && typeof parser[kOnBody] === 'function'
    ? kOnBody
    : undefined;
}

export interface Received {
  readonly lengthBytes: number;
  /** The client sends no more, or is gone. */
  readonly ended: boolean;
}

export class Takeover {
  readonly #jobs: NativeJobs;
  readonly #request: IncomingMessage;
  readonly #socket: Socket & SocketInternals;
  readonly #parser: ParserInternals;
  readonly #onBody: number;
  readonly #inlet: NativeInlet;
  #takenBytes = 0;
  #receiving: Promise<unknown> | undefined;
  #over = false;

  private constructor(
    jobs: NativeJobs,
    request: IncomingMessage,
    parser: ParserInternals,
    onBody: number,
    inlet: NativeInlet,
  ) {
    this.#jobs = jobs;
    this.#request = request;
    this.#socket = request.socket as Socket & SocketInternals;
    this.#parser = parser;
    this.#onBody = onBody;
    this.#inlet = inlet;
    this.#socket.once('close', this.#onClose);
  }

  /**
   * Takes over, if it can be done. What node had read already is given out by `request` before this returns, as 'data' events.
   */
  static begin(jobs: NativeJobs, request: IncomingMessage): Takeover | undefined {
    const socket = request.socket as Socket & SocketInternals;
    const { _handle: handle, parser } = socket;
    const descriptor = handle?.fd;
    if (socket.destroyed || 'encrypted' in socket) return undefined;
    if (!parser || typeof descriptor !== 'number' || descriptor < 0) return undefined;
    // What lies in the socket's own buffer (somebody listens to it) would be passed over.
    if (socket._paused === true || socket.readableLength > 0) return undefined;
    const onBody = bodyCallback(parser);
    if (onBody === undefined) return undefined;
    const inlet = jobs.addon.inletOpen(descriptor);
    if (inlet === undefined) return undefined;
    socket._paused = true;
    socket.pause();
    request.pause();
    while (request.read() !== null);
    return new Takeover(jobs, request, parser, onBody, inlet);
  }

  /** Fills `target`, for at most `waitMs`. Nothing else may use it until this resolves. */
  async receive(target: Uint8Array, waitMs: number): Promise<Received> {
    if (this.#over) return { lengthBytes: 0, ended: true };
    const { addon } = this.#jobs;
    const work = this.#jobs.run((id) => addon.inletReceive(id, this.#inlet, target, waitMs), target);
    this.#receiving = work.catch(() => undefined);
    try {
      const value = await work;
      const lengthBytes = Math.floor(value / 2);
      this.#takenBytes += lengthBytes;
      return { lengthBytes, ended: this.#wasShared() || value % 2 === 1 };
    } catch (error) {
      if (!(error instanceof NativeJobError) || error.nativeCode !== jobCodes.closed) throw error;
      this.#takenBytes += Math.floor(error.value / 2);
      return { lengthBytes: 0, ended: true };
    } finally {
      this.#receiving = undefined;
    }
  }

  /**
   * Gives the connection back to node, once what is under way has ended. The request then flows again; when something was under way, only
   * if whoever broke it off has set it flowing.
   */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.off('close', this.#onClose);
    this.#jobs.addon.inletClose(this.#inlet);
    if (this.#receiving !== undefined) void this.#receiving.then(() => this.#handBack());
    else {
      this.#handBack();
      this.#request.resume();
    }
  }

  readonly #onClose = (): void => {
    this.end();
  };

  /**
   * Whether node has read some of the body, or is about to: no byte of it can be trusted any more. What node reads stays in the request's
   * buffer, which was emptied, since the request does not flow.
   */
  #wasShared(): boolean {
    const wasShared = this.#socket._handle?.reading === true || this.#request.readableLength > 0;
    if (wasShared) this.#socket.destroy();
    return wasShared;
  }

  #handBack(): void {
    const { destroyed } = this.#socket;
    if (destroyed || this.#socket.parser !== this.#parser || this.#wasShared()) return;
    // Node pauses the parser of a connection that is held back.
    this.#parser.resume();
    const callback = this.#parser[this.#onBody];
    this.#parser[this.#onBody] = undefined;
    try {
      for (let left = this.#takenBytes; left > 0; left -= zeros.length) {
        const outcome = this.#parser.execute(left < zeros.length ? zeros.subarray(0, left) : zeros);
        if (outcome instanceof Error) {
          this.#socket.destroy(outcome);
          return;
        }
      }
    } finally {
      this.#parser[this.#onBody] = callback;
    }
    this.#socket._paused = false;
    this.#socket.resume();
  }
}
