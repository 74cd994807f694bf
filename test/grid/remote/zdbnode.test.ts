/** A 0-db namespace as a fragment store, over the plain protocol alone: a daemon of ours stands in for the 0-db. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { connectNode } from '../../../src/grid/remote/connect.ts';
import type { RemoteStore } from '../../../src/grid/remote/target.ts';
import type { FragmentStore } from '../../../src/node/fragmentstore.ts';
import { fragmentStoreConformance } from '../../conformance/fragmentstore.ts';
import { makeFragment } from '../../node/fragments.ts';
import { client, emptyDirectory, start } from '../../node/zdb/daemons.ts';
import { Prng } from '../../simulation/prng.ts';

const seams = { clock: systemClock, random: systemRandom };

function nodeAt(port: number, namespace = 'default', password = ''): RemoteStore {
  const node = connectNode(
    { kind: 'zdb', host: '127.0.0.1', port, namespace, password: Buffer.from(password) },
    seams,
  );
  onTestFinished(() => node.close());
  return node;
}

/** A 0-db does not count appends: what the suite asks of that counter is left out. */
function countingAppends(store: FragmentStore): FragmentStore {
  let appends = 0;
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'hello') return async () => ({ ...(await target.hello()), durableAppends: appends });
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      if (name === 'put' || name === 'delete') appends += 1;
      return value.bind(target);
    },
  });
}

fragmentStoreConformance('a 0-db namespace over TCP', async () => {
  const daemon = await start(await emptyDirectory());
  const store = nodeAt(daemon.port!);
  return { store: countingAppends(store), close: () => store.close() };
});

describe('a 0-db namespace', () => {
  test('is not durable, has the space of its quota, and other keys in it are left alone', async () => {
    const daemon = await start(await emptyDirectory());
    const admin = client(daemon.port);
    await admin.ask('NSNEW', 'rented');
    await admin.ask('NSSET', 'rented', 'password', 'pw');
    await admin.ask('NSSET', 'rented', 'public', '0');
    await admin.ask('NSSET', 'rented', 'maxsize', '10000');
    await admin.ask('SELECT', 'rented', 'pw');
    await admin.ask('SET', 'somebody else', 'value');
    const node = nodeAt(daemon.port!, 'rented', 'pw');
    const fragment = makeFragment(new Prng(1), 4000);
    await node.put(fragment.name, fragment.pieces);
    const hello = await node.hello();
    expect(hello).toMatchObject({ durable: false, usedBytes: 4085, freeBytes: 5915, fragmentCount: 2 });
    expect((await node.list(undefined, 10)).fragments).toEqual([
      { name: fragment.name, storedLengthBytes: 4080 },
    ]);
    const more = makeFragment(new Prng(2), 8000);
    await expect(node.put(more.name, more.pieces)).rejects.toMatchObject({ code: 'NodeFull' });
    await admin.ask('NSSET', 'rented', 'lock', '1');
    expect((await node.hello()).freeBytes).toBe(0);
    await expect(node.delete([fragment.name])).rejects.toMatchObject({ code: 'NodeFull' });
    expect(await node.verify(fragment.name)).toBe('intact');
    await admin.ask('NSSET', 'rented', 'freeze', '1');
    await expect(node.verify(more.name)).rejects.toThrow(/temporarily frozen/);
    await expect(nodeAt(daemon.port!, 'rented').hello()).rejects.toThrow(/protected and private/);
  });

  test('a value that rotted under the node is read, and found out by its trailer', async () => {
    const daemon = await start(await emptyDirectory());
    const other = client(daemon.port);
    const node = nodeAt(daemon.port!);
    const { name, pieces, stored } = makeFragment(new Prng(3), 3000);
    await node.put(name, pieces);
    const rotten = Buffer.from(stored);
    rotten[100] = rotten[100]! ^ 1;
    await other.ask('SET', name, rotten);
    expect(await node.verify(name)).toBe('corrupt');
    await node.put(name, pieces);
    expect(await node.verify(name)).toBe('intact');
    const swapped = makeFragment(new Prng(4), 3000, name);
    await expect(node.put(name, swapped.pieces)).rejects.toMatchObject({ code: 'FragmentConflict' });
  });
});
