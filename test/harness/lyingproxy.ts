/**
 * Stands between a gateway and a daemon that is reached without TLS, and lies about what it stores: a node may say what it likes. It can also
 * swallow everything, as a network does that is cut.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { encodeReply, encodeRequest } from '../../src/base/resp/encode.ts';
import { ReplyParser } from '../../src/base/resp/replies.ts';
import { RequestParser } from '../../src/base/resp/requests.ts';
import { Bulk, type RespValue, SimpleString } from '../../src/base/resp/values.ts';

/**
 * honest; flipped: one bit of what is read is another; short: bytes are missing at its end; other: what was read last, for whatever is asked;
 * dropping: what is put is acknowledged and thrown away; cut: nothing comes through, and connections stay open.
 */
export type Lie = 'honest' | 'flipped' | 'short' | 'other' | 'dropping' | 'cut';

const LIMITS = { valueBytesMax: 9e6, replyBytesMax: 2e7, elementsMax: 1e6 };
const REQUEST_LIMITS = { argumentsMax: 1024, valueBytesMax: 9e6, requestBytesMax: 2e7 };

export class LyingProxy {
  lie: Lie = 'honest';
  /** How often it has lied. */
  lies = 0;
  readonly #to: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #last: Buffer | undefined;

  constructor(to: number) {
    this.#to = to;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as { port: number }).port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(client: Socket): void {
    const node = connect(this.#to, '127.0.0.1');
    const verbs = new Map<string, string>();
    for (const [one, other] of [
      [client, node],
      [node, client],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
    }
    const requests = new RequestParser(REQUEST_LIMITS);
    client.on('data', (chunk) => {
      if (this.lie === 'cut') return;
      requests.push(chunk);
      for (let request = requests.next(); request !== undefined; request = requests.next()) {
        this.#forward(request, verbs, node, client);
      }
    });
    const replies = new ReplyParser(LIMITS);
    node.on('data', (chunk) => {
      if (this.lie === 'cut') return;
      replies.push(chunk);
      for (let reply = replies.next(); reply !== undefined; reply = replies.next()) {
        for (const piece of encodeReply(this.#told(reply, verbs))) client.write(piece);
      }
    });
  }

  #forward(request: readonly Bulk[], verbs: Map<string, string>, node: Socket, client: Socket): void {
    const [word, id = '', verb = ''] = request.map((argument) =>
      argument.length > 64 ? '' : String(argument),
    );
    if (word === 'HF') verbs.set(id, verb);
    if (word === 'HF' && verb === 'PUT' && this.lie === 'dropping') {
      this.lies += 1;
      const accepted = Array.from({ length: (request.length - 6) / 2 }, () => new SimpleString('OK'));
      for (const piece of encodeReply([Number(id), new SimpleString('OK'), accepted])) client.write(piece);
      return;
    }
    for (const piece of encodeRequest(request.map((argument) => argument.toBuffer()))) node.write(piece);
  }

  #told(reply: RespValue, verbs: Map<string, string>): RespValue {
    const [id, status, bytes] = Array.isArray(reply) ? (reply as readonly RespValue[]) : [];
    const isRead = typeof id === 'number' && verbs.get(String(id)) === 'READ' && bytes instanceof Bulk;
    if (typeof id === 'number') verbs.delete(String(id));
    if (!isRead || bytes.length === 0) return reply;
    const honest = bytes.toBuffer();
    const told = this.#lieAbout(Buffer.from(honest));
    if (Buffer.compare(told, honest) !== 0) this.lies += 1;
    return [id as number, status!, Bulk.of(told)];
  }

  #lieAbout(bytes: Buffer): Buffer {
    const last = this.#last;
    this.#last = Buffer.from(bytes);
    if (this.lie === 'flipped') bytes[bytes.length >> 1] = bytes[bytes.length >> 1]! ^ 1;
    if (this.lie === 'short') return bytes.subarray(0, bytes.length - 1);
    if (this.lie === 'other' && last !== undefined) {
      const told = Buffer.alloc(bytes.length);
      last.copy(told);
      return told;
    }
    return bytes;
  }
}
