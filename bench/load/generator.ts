/**
 * A load generator on raw sockets, for machines where generator.c does not compile: requests signed beforehand, answers parsed only
 * as far as needed. Run as a process of its own, so that its CPU time is not the server's; takes a plan as JSON on stdin and prints
 * a result as JSON.
 */
import { connect, type Socket } from 'node:net';
import { type LoadResult, type Plan, requestBody, requestHeads } from './plan.ts';
import type { Target } from './presign.ts';

const WRITE_BYTES = 1024 * 1024;

class Connection {
  readonly #socket: Socket;
  readonly #body: Buffer;
  #head = '';
  #status = 0;
  #remaining = -1;
  #resolve: ((status: number) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;
  bytesReceived = 0;

  constructor(target: Target, body: Buffer) {
    this.#body = body;
    this.#socket = connect({ host: target.host, port: target.port, noDelay: true });
    this.#socket.on('data', (piece) => this.#onData(piece));
    this.#socket.on('error', (error) => this.#reject?.(error));
    this.#socket.on('close', () => this.#reject?.(new Error('the server closed the connection')));
  }

  /** Sends one request; resolves with the status when the answer is whole. */
  request(head: Buffer): Promise<number> {
    this.#head = '';
    this.#remaining = -1;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#socket.write(head);
      if (this.#body.length > 0) this.#sendBody(0);
    });
  }

  #sendBody(from: number): void {
    for (let at = from; at < this.#body.length; at += WRITE_BYTES) {
      if (!this.#socket.write(this.#body.subarray(at, at + WRITE_BYTES))) {
        this.#socket.once('drain', () => this.#sendBody(at + WRITE_BYTES));
        return;
      }
    }
  }

  #onData(piece: Buffer): void {
    let body = piece.length;
    if (this.#remaining < 0) {
      this.#head += piece.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.#status = Number(this.#head.slice(9, 12));
      this.#remaining = Number(/content-length: *(\d+)/i.exec(this.#head)?.[1] ?? 0);
      body = this.#head.length - end - 4;
      if (/transfer-encoding: *chunked/i.test(this.#head)) {
        // Only listings come in chunks; the last chunk ends them.
        this.#remaining = this.#head.endsWith('0\r\n\r\n') ? body : Number.MAX_SAFE_INTEGER;
      }
    } else if (this.#remaining > 1e15 && piece.subarray(-5).toString('latin1') === '0\r\n\r\n') {
      this.#remaining = body;
    }
    this.bytesReceived += body;
    this.#remaining -= body;
    if (this.#remaining <= 0) this.#resolve?.(this.#status);
  }

  close(): void {
    this.#reject = undefined;
    this.#socket.destroy();
  }
}

export async function run(plan: Plan): Promise<LoadResult> {
  const body = requestBody(plan);
  const heads = requestHeads(plan, body.length);
  const durationsMs: number[] = [];
  let [next, failed, bytes, firstFailure] = [0, 0, 0, ''];
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  const endMs = startedMs + plan.durationMs;
  const client = async () => {
    const connection = new Connection(plan.target, body);
    while (next < plan.requestsMax && performance.now() < endMs) {
      const head = heads[next++ % heads.length] as Buffer;
      const sentMs = performance.now();
      const status = await connection.request(head);
      if (status >= 300) {
        failed += 1;
        firstFailure ||= `status ${status}`;
        continue;
      }
      durationsMs.push(performance.now() - sentMs);
      bytes += body.length;
    }
    bytes += connection.bytesReceived;
    connection.close();
  };
  await Promise.all(
    Array.from({ length: plan.connections }, () =>
      client().catch((error: Error) => {
        failed += 1;
        firstFailure ||= error.message;
      }),
    ),
  );
  const elapsedMs = performance.now() - startedMs;
  const cpu = process.cpuUsage(cpuBefore);
  durationsMs.sort((a, b) => a - b);
  const at = (share: number) =>
    durationsMs[Math.min(durationsMs.length - 1, Math.floor(durationsMs.length * share))] ?? 0;
  return {
    requests: durationsMs.length,
    failed,
    firstFailure,
    bytes,
    elapsedMs,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    clientCpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
}

if (process.argv[1] === import.meta.filename) {
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Buffer);
  process.stdout.write(JSON.stringify(await run(JSON.parse(Buffer.concat(pieces).toString()) as Plan)));
}
