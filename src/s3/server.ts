/**
 * The S3 endpoint on node:http or node:https: takes connections, gives every request an id, has it admitted
 * (admission.ts), calls its operation, writes the answer (reply.ts), and counts and logs it. Bounds are in limits.ts.
 *
 *     const server = new S3Server({ operations, objects, credentials, … });
 *     const { port } = await server.listen('127.0.0.1', 9000);
 *     await server.close({ graceMs: 10_000 });
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { type Random, systemRandom } from '../base/random.ts';
import type { ObjectService } from '../objects/types.ts';
import { admit } from './admission.ts';
import { answerBroken } from './brokenrequest.ts';
import { Deadlines } from './deadlines.ts';
import { Exchange } from './exchange.ts';
import { type HealthProbe, healthProbe } from './health.ts';
import { defaultLimits, type S3Limits } from './limits.ts';
import type { Operation } from './operation.ts';
import { OperationTable } from './operationtable.ts';
import type { RequestRecord, ServerParts } from './parts.ts';
import { Reply } from './reply.ts';
import { RequestIds } from './requestids.ts';
import { HostRules } from './routing.ts';
import { Authenticator, type CredentialStore } from './sigv4.ts';
import { readTlsPair, type TlsFiles } from './tls.ts';

export interface S3ServerOptions {
  readonly operations: readonly Operation[];
  readonly objects: ObjectService;
  readonly credentials: CredentialStore;
  readonly log: Logger;
  /** Whether the grid can serve; for the `ready` probes. */
  readonly ready: () => boolean | Promise<boolean>;
  /** Default `us-east-1`. Requests may be signed for any region. */
  readonly region?: string;
  /** For virtual-host style: `bucket.<domain>` and `bucket.s3.<domain>`. `localhost` is always one. */
  readonly domains?: readonly string[];
  readonly tls?: TlsFiles;
  readonly limits?: Partial<S3Limits>;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly onRequest?: (record: RequestRecord) => void;
}

/** A client that went away before its answer; nginx's number, for logs and metrics only. */
const CLIENT_GONE_STATUS = 499;
const HOST_ID_BYTES = 24;
/** Unanswered requests on one connection. S3 clients send one at a time; without a bound one connection could ask for all there is. */
const PIPELINED_REQUESTS_MAX = 64;

/** During a stop, for a request whose head is on its way on a connection that has none yet. */
const FIRST_REQUEST_GRACE_MS = 1000;

export class S3Server {
  readonly #parts: ServerParts;
  readonly #ids: RequestIds;
  readonly #deadlines: Deadlines;
  readonly #tlsFiles: TlsFiles | undefined;
  #server: http.Server | https.Server | undefined;
  /** Requests of a connection that are not answered yet. */
  readonly #outstanding = new WeakMap<object, number>();
  readonly #connections = new Set<Socket>();
  /** Connections that end with the answer under way, because what came after its request could not be parsed. */
  readonly #ending = new WeakSet<Duplex>();

  constructor(options: S3ServerOptions) {
    const clock = options.clock ?? systemClock;
    const random = options.random ?? systemRandom;
    this.#tlsFiles = options.tls;
    this.#parts = {
      objects: options.objects,
      region: options.region ?? 'us-east-1',
      table: new OperationTable(options.operations),
      authenticator: new Authenticator(options.credentials, clock),
      hosts: new HostRules(options.domains ?? []),
      limits: { ...defaultLimits, ...options.limits },
      clock,
      random,
      log: options.log,
      ready: options.ready,
      onRequest: options.onRequest,
      tls: options.tls !== undefined,
      hostId: random.bytes(HOST_ID_BYTES).toString('base64'),
      closing: false,
      isAlone: (request) => this.#outstanding.get(request.socket) === 1,
    };
    this.#ids = new RequestIds(random);
    this.#deadlines = new Deadlines(this.#parts.limits, clock);
  }

  /** @throws PortInUse, ConfigInvalid */
  async listen(host: string, port: number): Promise<AddressInfo> {
    const server = await this.#create();
    this.#server = server;
    server.maxConnections = this.#parts.limits.connectionsMax;
    server.maxHeadersCount = 0;
    server.on(this.#tlsFiles ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.#connections.add(socket);
      socket.on('close', () => this.#connections.delete(socket));
    });
    server.on('request', (request, response) => this.handle(request, response, false));
    server.on('checkContinue', (request, response) => this.handle(request, response, true));
    server.on('clientError', (error, socket) => this.#onClientError(error, socket));
    await new Promise<void>((resolve, reject) => {
      const onError = (cause: NodeJS.ErrnoException) => reject(listenError(cause, host, port));
      server.once('error', onError);
      server.listen(port, host, () => {
        server.off('error', onError);
        resolve();
      });
    });
    server.on('error', (err) => this.#parts.log.error({ err }, 'S3 listener failed'));
    return server.address() as AddressInfo;
  }

  async #create(): Promise<http.Server | https.Server> {
    const { limits } = this.#parts;
    const options: http.ServerOptions = {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersDeadlineMs,
      // Bodies may take hours; deadlines.ts watches their progress instead.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.ceil(Math.min(5000, limits.headersDeadlineMs / 4)),
      requireHostHeader: false,
      noDelay: true,
    };
    if (!this.#tlsFiles) return http.createServer(options);
    const pair = await readTlsPair(this.#tlsFiles);
    return https.createServer({
      ...options,
      ...pair,
      minVersion: 'TLSv1.2',
      handshakeTimeout: limits.tlsHandshakeMs,
    });
  }

  /** Takes certificate and key from their files again; keeps the old ones, and logs why, when the new are not good. */
  async reloadTls(): Promise<void> {
    if (!this.#tlsFiles || !(this.#server instanceof https.Server)) return;
    try {
      this.#server.setSecureContext(await readTlsPair(this.#tlsFiles));
      this.#parts.log.info('TLS certificate reloaded');
    } catch (err) {
      this.#parts.log.error({ err }, 'TLS certificate not reloaded, the old one stays in use');
    }
  }

  /** Stops accepting, lets requests in flight finish, and after `graceMs` ends what is left. */
  async close(options: { readonly graceMs: number }): Promise<void> {
    const server = this.#server;
    this.#parts.closing = true;
    if (server?.listening) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const timer = setTimeout(() => {
        for (const exchange of this.#deadlines.active) exchange.abandon();
        server.closeAllConnections();
      }, options.graceMs);
      // Node takes a connection that never sent a request for a busy one.
      const idleTimer = setTimeout(
        () => this.#closeUnused(),
        Math.min(options.graceMs, FIRST_REQUEST_GRACE_MS),
      );
      await closed;
      clearTimeout(timer);
      clearTimeout(idleTimer);
    }
    this.#deadlines.stop();
  }

  #closeUnused(): void {
    for (const socket of this.#connections) {
      if ((this.#outstanding.get(socket) ?? 0) === 0) socket.destroy();
    }
  }

  /** Requests in flight. */
  get activeRequests(): number {
    return this.#deadlines.active.size;
  }

  /** Answers one request. `listen` does this for its own server; another one may hand its requests over. */
  handle(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const outstanding = (this.#outstanding.get(request.socket) ?? 0) + 1;
    if (outstanding > PIPELINED_REQUESTS_MAX) {
      request.socket.destroy();
      return;
    }
    this.#outstanding.set(request.socket, outstanding);
    const exchange = new Exchange(this.#parts, this.#ids.next(), request, response, expectsContinue);
    this.#deadlines.watch(exchange);
    response.on('close', () => this.#onAnswered(exchange));
    response.on('error', (err) => this.#parts.log.debug({ err }, 'response broken off'));
    const signed = request.headers.authorization !== undefined;
    const probe = healthProbe(request.method, request.url ?? '', signed);
    void (probe ? this.#answerProbe(exchange, probe) : this.#answer(exchange));
  }

  async #answer(exchange: Exchange): Promise<void> {
    const reply = new Reply(this.#parts, exchange);
    try {
      const admission = admit(this.#parts, exchange.request);
      exchange.admit(admission);
      await reply.send(await admission.operation.handle(exchange));
    } catch (error) {
      reply.fail(error);
    }
  }

  async #answerProbe(exchange: Exchange, probe: HealthProbe): Promise<void> {
    exchange.probe = true;
    const reply = new Reply(this.#parts, exchange);
    try {
      const good = probe === 'live' || (!this.#parts.closing && (await this.#parts.ready()));
      await reply.send({ status: good ? 200 : 503 });
    } catch (error) {
      reply.fail(error);
    }
  }

  /** The answer is out, or the connection is gone. */
  #onAnswered(exchange: Exchange): void {
    const { request, response } = exchange;
    this.#outstanding.set(request.socket, (this.#outstanding.get(request.socket) ?? 1) - 1);
    if (!response.writableFinished) exchange.abandon();
    this.#record(exchange);
    // An answer that began before the stop promised to keep its connection; nobody would close it.
    if (this.#parts.closing) setImmediate(() => this.#server?.closeIdleConnections());
    if (request.complete || request.socket.destroyed) {
      this.#deadlines.forget(exchange);
      return;
    }
    exchange.phase = 'draining';
    exchange.progressMs = this.#parts.clock.monotonicMs();
    const { socket } = request;
    const forget = () => {
      // The connection lives on and sees many requests; nothing of this one may stay with it.
      socket.off('close', forget);
      request.off('close', forget);
      this.#deadlines.forget(exchange);
    };
    request.on('close', forget);
    socket.on('close', forget);
  }

  #record(exchange: Exchange): void {
    const { response, request, errorCode, bytesIn, bytesOut, requestId } = exchange;
    const durationMs = this.#parts.clock.monotonicMs() - exchange.startedMs;
    const status = response.writableFinished ? response.statusCode : CLIENT_GONE_STATUS;
    const operation = exchange.operationName;
    this.#parts.onRequest?.({ operation, status, errorCode, durationMs, bytesIn, bytesOut });
    const level = status < 400 || status === 404 ? 'debug' : 'info';
    if (!this.#parts.log.isLevelEnabled(level)) return;
    this.#parts.log[level](
      {
        requestId,
        operation,
        method: request.method,
        path: loggedPath(request.url ?? ''),
        status,
        errorCode,
        durationMs: Math.round(durationMs * 1000) / 1000,
        bytesIn,
        bytesOut,
        accessKeyId: exchange.accessKeyId,
        remoteAddress: request.socket.remoteAddress,
      },
      'request',
    );
  }

  #onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    this.#parts.log.debug({ code: error.code }, 'request could not be parsed');
    let answered = false;
    let whole: Exchange | undefined;
    for (const exchange of this.#deadlines.active) {
      if (exchange.request.socket !== socket) continue;
      answered ||= exchange.answered;
      if (exchange.answered) continue;
      if (exchange.request.complete) whole = exchange;
      else if (exchange.response.headersSent) {
        // Raw bytes would land inside another answer, or be taken for one.
        socket.destroy();
        return;
      }
    }
    if (whole) {
      this.#endAfter(whole, socket);
      return;
    }
    if (answered) {
      socket.end(() => socket.destroy());
      return;
    }
    answerBroken(error.code, socket, this.#ids.next(), this.#parts.hostId);
  }

  /** What follows a whole request is none, for instance more body than was announced: the request is answered, then the connection ends. */
  #endAfter(exchange: Exchange, socket: Duplex): void {
    if (this.#ending.has(socket)) return;
    this.#ending.add(socket);
    exchange.response.shouldKeepAlive = false;
    exchange.response.once('finish', () => socket.end(() => socket.destroy()));
  }
}

const LOGGED_PATH_CHARS_MAX = 1024;

/** Without the query: a presigned one is as good as a password until it expires. */
function loggedPath(url: string): string {
  const query = url.indexOf('?');
  return url.slice(0, Math.min(query < 0 ? url.length : query, LOGGED_PATH_CHARS_MAX));
}

function listenError(cause: NodeJS.ErrnoException, host: string, port: number): Error {
  if (cause.code === 'EADDRINUSE') {
    return new HoldfastError('PortInUse', {
      detail: `${host}:${port} is already in use; stop what listens there or choose another address with s3.listen (--s3)`,
      cause,
    });
  }
  return new HoldfastError('ConfigInvalid', {
    detail: `cannot listen on ${host}:${port} (${cause.code}): see s3.listen (--s3)`,
    cause,
  });
}
