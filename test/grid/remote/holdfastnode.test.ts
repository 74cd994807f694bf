/** A daemon as a fragment store, over real TCP: what any store must do, and what one must do when the other side does not. */
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { encodeReply } from '../../../src/base/resp/encode.ts';
import { RequestParser } from '../../../src/base/resp/requests.ts';
import { Bulk, type RespValue, SimpleString } from '../../../src/base/resp/values.ts';
import { dialPlain } from '../../../src/grid/remote/dial.ts';
import { HoldfastNode } from '../../../src/grid/remote/holdfastnode.ts';
import { fragmentStoreConformance } from '../../conformance/fragmentstore.ts';
import { makeFragment } from '../../node/fragments.ts';
import { flipReal } from '../../node/nodes.ts';
import { client, emptyDirectory, start } from '../../node/zdb/daemons.ts';
import { Prng } from '../../simulation/prng.ts';

const seams = { clock: systemClock, random: systemRandom };

function nodeAt(port: number, namespace = 'default', password = ''): HoldfastNode {
  const node = new HoldfastNode(
    {
      ...{ kind: 'holdfast', host: '127.0.0.1', port, namespace, transport: 'plain', isSelected: false },
      password: Buffer.from(password),
      dial: dialPlain('127.0.0.1', port),
    },
    seams,
  );
  onTestFinished(() => node.close());
  return node;
}

fragmentStoreConformance('a daemon over TCP', async () => {
  const directory = await emptyDirectory();
  const daemon = await start(directory);
  const store = nodeAt(daemon.port!);
  return {
    store,
    close: () => store.close(),
    damage: async (name, offsetBytes) => {
      const target = Buffer.alloc((await store.length(name))!);
      await store.read(name, 0, target);
      await flipReal(directory, target, offsetBytes);
    },
  };
});

describe('a daemon over TCP', () => {
  test('keeps namespaces apart, and asks for their passwords', async () => {
    const daemon = await start(await emptyDirectory());
    const admin = client(daemon.port);
    for (const name of ['one', 'two']) {
      await admin.ask('NSNEW', name);
      await admin.ask('NSSET', name, 'password', `secret of ${name}`);
    }
    const [one, two] = [
      nodeAt(daemon.port!, 'one', 'secret of one'),
      nodeAt(daemon.port!, 'two', 'secret of two'),
    ];
    const fragment = makeFragment(new Prng(1), 1000);
    await one.put(fragment.name, fragment.pieces);
    expect(await one.length(fragment.name)).toBe(1080);
    expect(await two.length(fragment.name)).toBeUndefined();
    expect((await two.list(undefined, 10)).fragments).toEqual([]);
    await expect(nodeAt(daemon.port!, 'one', 'wrong').hello()).rejects.toThrow(
      /namespace "one": Access denied/,
    );
    await expect(nodeAt(daemon.port!, 'none').hello()).rejects.toThrow(/Namespace not found/);
    await admin.ask('NSSET', 'one', 'maxsize', '2000');
    const more = makeFragment(new Prng(2), 1000);
    await expect(one.put(more.name, more.pieces)).rejects.toMatchObject({ code: 'NodeFull' });
    expect((await one.hello()).freeBytes).toBe(920);
    await admin.ask('NSSET', 'one', 'lock', '1');
    await expect(one.delete([fragment.name])).rejects.toThrow(/locked/);
  });

  test('refuses a writer that was superseded, durably', async () => {
    const directory = await emptyDirectory();
    const daemon = await start(directory);
    const [old, young] = [nodeAt(daemon.port!), nodeAt(daemon.port!)];
    const [a, b] = [makeFragment(new Prng(1), 100), makeFragment(new Prng(2), 100)];
    old.useWriter({ logId: 1, term: 5, start: 7 });
    await old.put(a.name, a.pieces);
    young.useWriter({ logId: 1, term: 6, start: 1 });
    await young.fence({ logId: 1, term: 6, start: 1 });
    await expect(old.put(b.name, b.pieces)).rejects.toMatchObject({ code: 'TokenSuperseded' });
    await expect(old.delete([a.name])).rejects.toMatchObject({ code: 'TokenSuperseded' });
    await young.put(b.name, b.pieces);
    old.useWriter({ logId: 2, term: 1, start: 1 });
    expect(await old.delete([a.name])).toBe(1);
    await daemon.close();
    const again = await start(directory);
    const late = nodeAt(again.port!);
    late.useWriter({ logId: 1, term: 6, start: 0 });
    await expect(late.put(a.name, a.pieces)).rejects.toThrow(/term 6 was superseded by term 6/);
    expect(late.registers).toContainEqual({ logId: 1, term: 6, start: 1 });
  });

  test('comes back by itself when the daemon does', async () => {
    const directory = await emptyDirectory();
    const daemon = await start(directory);
    const { port } = daemon;
    const node = nodeAt(port!);
    const fragment = makeFragment(new Prng(3), 5000);
    await node.put(fragment.name, fragment.pieces);
    await daemon.close();
    await expect(node.length(fragment.name)).rejects.toMatchObject({ code: 'NodeUnavailable' });
    await start(directory, { listen: { host: '127.0.0.1', port: port! } });
    for (let attempt = 0; ; attempt++) {
      const length = await node.length(fragment.name).catch(() => undefined);
      if (length !== undefined) break;
      expect(attempt).toBeLessThan(200);
      await systemClock.sleep(20);
    }
  });

  test('whatever connections die, nothing that was acknowledged is lost and nothing is mixed up', async () => {
    const daemon = await start(await emptyDirectory());
    const sockets = new Set<Socket>();
    const dial = dialPlain('127.0.0.1', daemon.port!);
    const node = new HoldfastNode(
      {
        ...{
          kind: 'holdfast',
          host: '127.0.0.1',
          port: daemon.port!,
          namespace: 'default',
          transport: 'plain',
          isSelected: false,
        },
        password: Buffer.alloc(0),
        dial: async (signal) => {
          const socket = await dial(signal);
          sockets.add(socket);
          return socket;
        },
      },
      seams,
    );
    onTestFinished(() => node.close());
    const prng = new Prng(9);
    const fragments = Array.from({ length: 60 }, () => makeFragment(prng, prng.below(100_000)));
    const stored = new Set<number>();
    let failures = 0;
    const work = async (seed: number) => {
      const mine = new Prng(seed);
      for (let step = 0; step < 60; step++) {
        const i = mine.below(fragments.length);
        const { name, pieces, stored: bytes } = fragments[i]!;
        try {
          if (mine.chance(0.5)) {
            await node.put(name, pieces);
            stored.add(i);
          } else if (stored.has(i)) {
            const target = Buffer.alloc(bytes.length);
            await node.read(name, 0, target);
            expect(Buffer.compare(target, bytes)).toBe(0);
          }
        } catch (error) {
          expect(error).toMatchObject({ code: 'NodeUnavailable' });
          failures += 1;
          await systemClock.sleep(20);
        }
        if (mine.chance(0.02)) for (const socket of sockets) socket.destroy();
      }
    };
    await Promise.all([1, 2, 3, 4, 5, 6].map(work));
    expect(failures).toBeGreaterThan(0);
    await systemClock.sleep(500);
    for (const i of stored) expect(await node.verify(fragments[i]!.name)).toBe('intact');
  });
});

describe('a node that does not keep to the protocol', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  const hello: RespValue = [
    'nodeUuid',
    '0'.repeat(32),
    'durable',
    '1',
    ...[
      'durableAppends',
      'fragmentCount',
      'usedBytes',
      'capacityBytes',
      'freeBytes',
      'damagedRecords',
    ].flatMap((name) => [name, '1']),
  ].map((text) => Bulk.of(Buffer.from(text)));

  /** Answers SELECT and HELLO as it should, and everything else as `lie` says. */
  async function liar(lie: (id: number, verb: string) => Buffer | undefined): Promise<HoldfastNode> {
    server = createServer((socket) => {
      const parser = new RequestParser({ argumentsMax: 100, valueBytesMax: 1e7, requestBytesMax: 1e7 });
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        parser.push(chunk);
        for (let request = parser.next(); request !== undefined; request = parser.next()) {
          const words = request.map(String);
          if (words[0] === 'SELECT') socket.write('+OK\r\n');
          else if (words[0] === 'HELLO') for (const piece of encodeReply(hello)) socket.write(piece);
          else socket.write(lie(Number(words[1]), words[2]!) ?? '');
        }
      });
    });
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    return nodeAt((server.address() as { port: number }).port);
  }

  const ok = (id: number, ...values: RespValue[]) =>
    Buffer.concat(encodeReply([id, new SimpleString('OK'), ...values]));
  const name = Buffer.alloc(32, 1);
  const piece = [Buffer.alloc(200)];

  test.each([
    ['garbage', () => Buffer.from('garbage\r\n'), /does not follow the protocol/],
    ['an id that nobody has', (id: number) => ok(id + 1000, 1), /does not follow the protocol/],
    ['a number for bytes', (id: number) => ok(id, 17), /nobody can read/],
    ['too few bytes', (id: number) => ok(id, Bulk.of(Buffer.alloc(3))), /answered 3 bytes instead of 100/],
    ['too many bytes', (id: number) => ok(id, Bulk.of(Buffer.alloc(300))), /answered 300 bytes/],
    [
      'an error that no node has',
      (id: number) => Buffer.from(`*2\r\n:${id}\r\n-NoSuchBucket what\r\n`),
      /what/,
    ],
    ['endless arrays', () => Buffer.from('*200001\r\n'), /does not follow the protocol/],
    ['more than was asked for', () => Buffer.from('$99999999\r\n'), /does not follow the protocol/],
  ])('is told so when it answers %s', async (_, lie, message) => {
    const node = await liar(lie);
    const target = Buffer.alloc(100, 7);
    await expect(node.read(name, 0, target)).rejects.toThrow(message);
    expect(target.equals(Buffer.alloc(100, 7))).toBe(true);
  });

  test('cannot claim a listing that never ends, or deletes that nobody asked for', async () => {
    const page = Buffer.alloc(72);
    const node = await liar((id, verb) => (verb === 'LIST' ? ok(id, Bulk.of(page), 1) : ok(id, 5)));
    await expect(node.list(undefined, 10)).rejects.toThrow(/LIST/);
    await expect(node.delete([name])).rejects.toThrow(/DELETE/);
    await expect(node.put(name, piece)).rejects.toThrow(/PUT/);
  });
});
