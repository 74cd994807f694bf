import { createServer, connect as dial, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { encodeRequest } from '../../../src/base/resp/encode.ts';
import { ReplyParser } from '../../../src/base/resp/replies.ts';
import { Bulk, RespFailure, type RespValue, SimpleString } from '../../../src/base/resp/values.ts';
import { type Listener, listen } from '../../../src/node/server/listener.ts';
import { type Answer, Concurrent, LastReply } from '../../../src/node/server/session.ts';

let listener: Listener | undefined;
const sockets: Socket[] = [];
const errors: unknown[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await listener?.close();
});

/** PING, ECHO, SLOW (beside others), SIZE, BYE. */
async function handle(request: readonly Bulk[]): Promise<Answer> {
  const [verb, argument] = request;
  switch (verb!.toString()) {
    case 'ECHO':
      return argument!;
    case 'SLOW':
      return new Concurrent(
        systemClock.sleep(Number(argument!.toString())).then(() => new SimpleString(argument!.toString())),
      );
    case 'SIZE':
      return argument!.length;
    case 'BYE':
      return new LastReply(new SimpleString('bye'));
    default:
      return new SimpleString('PONG');
  }
}

async function start(connectionsMax = 100): Promise<number> {
  const server = createServer();
  listener = await listen(
    {
      ...{ server, transport: 'plain', connectionsMax, clock: systemClock },
      fingerprintOf: () => undefined,
      openSession: () => ({ handle, close: () => undefined }),
      onError: (error) => errors.push(error),
    },
    { host: '127.0.0.1', port: 0 },
  );
  return (server.address() as { port: number }).port;
}

function client(port: number) {
  const socket = dial(port, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  const parser = new ReplyParser({ valueBytesMax: 9e6, replyBytesMax: 2e7, elementsMax: 1e4 });
  const replies: RespValue[] = [];
  let wake = () => undefined as unknown;
  let closed = false;
  socket.on('data', (chunk) => {
    parser.push(chunk);
    for (let next = parser.next(); next !== undefined; next = parser.next()) replies.push(next);
    wake();
  });
  socket.on('close', () => {
    closed = true;
    wake();
  });
  const wait = (until: () => boolean) =>
    new Promise<void>((resolve) => {
      wake = () => until() && resolve();
      wake();
    });
  return {
    socket,
    replies,
    write: (bytes: string | Uint8Array) => socket.write(bytes),
    send: (...request: (string | Uint8Array)[]) => {
      for (const piece of encodeRequest(request)) socket.write(piece);
    },
    count: (count: number) => wait(() => replies.length >= count),
    closed: () => wait(() => closed),
  };
}

describe('a connection of the daemon', () => {
  it('answers pipelined requests in order, and concurrent ones when they are done', async () => {
    const peer = client(await start());
    peer.send('ECHO', 'a');
    peer.send('SLOW', '80');
    peer.send('SLOW', '20');
    peer.send('ECHO', 'b');
    await peer.count(4);
    const texts = peer.replies.map((reply) =>
      reply instanceof Bulk ? reply.toString() : (reply as SimpleString).text,
    );
    expect(texts).toEqual(['a', 'b', '20', '80']);
  });

  it('takes large values whole and answers malformed requests before it closes', async () => {
    const peer = client(await start());
    peer.send('SIZE', Buffer.alloc(8 * 1024 * 1024, 7));
    await peer.count(1);
    expect(peer.replies[0]).toBe(8 * 1024 * 1024);
    peer.write('PING\r\n');
    await peer.closed();
    expect(peer.replies[1]).toEqual(new RespFailure('Malformed request, array expected'));
  });

  it('ends with a last word', async () => {
    const peer = client(await start());
    peer.send('BYE');
    peer.send('ECHO', 'unheard');
    await peer.closed();
    expect(peer.replies).toEqual([new SimpleString('bye')]);
  });

  it('stops working for a peer that does not read', async () => {
    const peer = client(await start());
    peer.socket.pause();
    const value = Buffer.alloc(1024 * 1024);
    let sent = 0;
    for (; sent < 200 && peer.socket.writableLength < 40e6; sent++) {
      peer.send('ECHO', value);
      await systemClock.sleep(5);
    }
    expect(sent).toBeLessThan(200);
    peer.socket.resume();
    await peer.count(sent);
  });

  it('refuses more connections than it may have', async () => {
    const port = await start(2);
    const [first, second] = [client(port), client(port)];
    first.send('PING');
    second.send('PING');
    await Promise.all([first.count(1), second.count(1)]);
    await client(port).closed();
    expect(listener!.connections).toBe(2);
    expect(errors).toEqual([]);
  });
});
