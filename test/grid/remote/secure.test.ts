/** Gateways and daemons over TLS: first contact, pins, and those who are not let in. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { encodeRequest } from '../../../src/base/resp/encode.ts';
import { dialTls } from '../../../src/base/tls/dial.ts';
import { tlsIdentity } from '../../../src/base/tls/identity.ts';
import { parseJoinToken } from '../../../src/base/tls/jointoken.ts';
import { clientContext } from '../../../src/base/tls/options.ts';
import { connectSecurely, joinNode, type SecureTarget } from '../../../src/grid/remote/connect.ts';
import type { RemoteStore } from '../../../src/grid/remote/target.ts';
import { fragmentStoreConformance } from '../../conformance/fragmentstore.ts';
import { makeFragment } from '../../node/fragments.ts';
import { client, emptyDirectory, start } from '../../node/zdb/daemons.ts';
import { Prng } from '../../simulation/prng.ts';

const seams = { clock: systemClock, random: systemRandom };
const tlsListen = { host: '127.0.0.1', port: 0 };
const gridId = Buffer.alloc(16, 0x11);

async function gateway(number: number) {
  return clientContext(await tlsIdentity(Buffer.alloc(32, number)));
}

async function secureNode(directory: string) {
  const daemon = await start(directory, { tlsListen, listen: undefined });
  const { port, joinToken } = daemon.tls!;
  return { daemon, port, token: joinToken };
}

async function target(port: number, token: string, number: number): Promise<SecureTarget> {
  const { fingerprint } = parseJoinToken(token);
  return { host: '127.0.0.1', port, fingerprint, context: await gateway(number) };
}

function storeAt(to: SecureTarget, namespace: string): RemoteStore {
  const store = connectSecurely(to, namespace, seams);
  onTestFinished(() => store.close());
  return store;
}

fragmentStoreConformance('a daemon over TLS', async () => {
  const { port, token } = await secureNode(await emptyDirectory());
  const to = await target(port, token!, 1);
  const store = storeAt(to, await joinNode(to, token!, gridId, seams));
  return { store, close: () => store.close() };
});

describe('first contact', () => {
  test('pins both sides, for good, and the token is worth nothing afterwards', async () => {
    const directory = await emptyDirectory();
    const { daemon, port, token } = await secureNode(directory);
    const to = await target(port, token!, 1);
    const namespace = await joinNode(to, token!, gridId, seams);
    expect(namespace).toBe(`grid-${gridId.toString('hex')}`);
    expect(await joinNode(to, token!, gridId, seams)).toBe(namespace);
    const thief = await target(port, token!, 2);
    await expect(joinNode(thief, token!, gridId, seams)).rejects.toThrow(/the join token has been used/);
    await expect(joinNode(thief, token!, Buffer.alloc(16, 9), seams)).rejects.toThrow(/has been used/);
    await expect(storeAt(thief, namespace).hello()).rejects.toThrow(/does not know .* needs a join token/);
    const fragment = makeFragment(new Prng(1), 1000);
    await storeAt(to, namespace).put(fragment.name, fragment.pieces);
    for (const file of ['identity.key', 'pins.json']) {
      expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(directory, file), 'utf8')).not.toContain(token!.slice(5, 40));
    }
    await daemon.close();
    const again = await secureNode(directory);
    expect(again.token).toBeUndefined();
    const later = storeAt({ ...to, port: again.port }, namespace);
    expect(await later.length(fragment.name)).toBe(1080);
    expect(later.transport).toBe('tls SecP384r1MLKEM1024');
  });

  test('is not had with a token for another node, or a made-up one, however often', async () => {
    const [one, two] = [await secureNode(await emptyDirectory()), await secureNode(await emptyDirectory())];
    const wrongKey = await target(two.port, one.token!, 1);
    await expect(joinNode(wrongKey, one.token!, gridId, seams)).rejects.toMatchObject({
      code: 'IdentityMismatch',
    });
    const to = await target(two.port, two.token!, 1);
    await expect(joinNode(to, one.token!, gridId, seams)).rejects.toThrow(/is for node .*, and this is/);
    await expect(joinNode(to, 'hfj1-guess', gridId, seams)).rejects.toThrow(/cut off/);
    let slowed = false;
    for (let guess = 0; guess < 40 && !slowed; guess++) {
      const error = await joinNode(to, one.token!, gridId, seams).catch((reason: Error) => reason);
      slowed = /SlowDown|too many|wrong/i.test(String(error)) && !/is for node/.test(String(error));
    }
    expect(slowed).toBe(true);
  });

  test('grids do not get at each other, over TLS or without', async () => {
    const directory = await emptyDirectory();
    const daemon = await start(directory, { tlsListen });
    const { port, joinToken } = daemon.tls!;
    const first = await target(port, joinToken!, 1);
    const namespace = await joinNode(first, joinToken!, gridId, seams);
    const fragment = makeFragment(new Prng(2), 500);
    await storeAt(first, namespace).put(fragment.name, fragment.pieces);
    const plain = client(daemon.port);
    expect(await plain.ask('SELECT', namespace)).toBe('-Namespace protected and private');
    await daemon.close();
    const more = await start(directory, { tlsListen, wantsJoinToken: true });
    const { port: again, joinToken: second } = more.tls!;
    const stranger = await target(again, second!, 2);
    await expect(joinNode(stranger, second!, gridId, seams)).rejects.toThrow(/is pinned already/);
    const other = await joinNode(stranger, second!, Buffer.alloc(16, 0x22), seams);
    expect((await storeAt(stranger, other).list(undefined, 10)).fragments).toEqual([]);
    const { socket } = await dialTls(stranger);
    onTestFinished(() => void socket.destroy());
    let said = '';
    socket.on('data', (bytes: Buffer) => (said += bytes.toString()));
    for (const request of [
      ['SELECT', namespace],
      ['NSNEW', 'mine'],
      ['GET', fragment.name],
    ]) {
      for (const piece of encodeRequest(request)) socket.write(piece);
    }
    while (said.split('\r\n').length < 4) await systemClock.sleep(10);
    expect(said).toBe('-Namespace protected and private\r\n-Permission denied\r\n$-1\r\n');
  });

  test('a stranger that says nothing is let go', async () => {
    const clock = {
      ...systemClock,
      schedule: (delayMs: number, fire: () => void) => systemClock.schedule(delayMs / 100, fire),
    };
    const daemon = await start(await emptyDirectory(), { tlsListen, clock });
    const { port, joinToken } = daemon.tls!;
    const { socket } = await dialTls(await target(port, joinToken!, 3));
    await new Promise((resolve) =>
      socket
        .on('error', () => undefined)
        .once('close', resolve)
        .resume(),
    );
  });
});
