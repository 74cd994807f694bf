/** The daemon under those who mean no good, and those who have bad luck. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { patternBytes as pattern } from '../../conformance/codec.ts';
import { CLOSED, plain, ZdbClient } from './client.ts';
import { client, emptyDirectory, start } from './daemons.ts';

const MIB = 1024 * 1024;
const patternBytes = (length: number, seed: number) => Buffer.from(pattern(length, seed));

function expectBytes(found: unknown, expected: Buffer): void {
  expect(Buffer.isBuffer(found) ? Buffer.compare(found, expected) : found).toBe(0);
}

describe('a 0-db namespace', () => {
  test('takes what zstor does: sequential chunks, and metadata in user namespaces', async () => {
    const daemon = await start(await emptyDirectory());
    const zstor = client(daemon.port);
    for (const name of ['data', 'meta1', 'meta2', 'meta3', 'meta4']) {
      expect(await zstor.ask('NSNEW', name)).toBe('+OK');
      expect(await zstor.ask('NSSET', name, 'password', 'secret')).toBe('+OK');
      expect(await zstor.ask('NSSET', name, 'public', '0')).toBe('+OK');
    }
    await zstor.ask('NSSET', 'data', 'mode', 'seq');
    const chunks = Array.from({ length: 5 }, (_, i) => patternBytes(2 * MIB, i));
    const ids: Buffer[] = [];
    for (const chunk of chunks) {
      expect(await zstor.ask('SELECT', 'data', 'secret')).toBe('+OK');
      ids.push((await zstor.ask('SET', '', chunk)) as Buffer);
    }
    for (const name of ['meta1', 'meta2', 'meta3', 'meta4']) {
      await zstor.ask('SELECT', name, 'secret');
      const key = '/prefix/meta/5f1d7a84db00d2fce00b31a744fe67fd';
      expect(await zstor.ask('SET', key, 'metadata')).toEqual(Buffer.from(key));
      expect(await zstor.ask('GET', key)).toEqual(Buffer.from('metadata'));
    }
    await zstor.ask('SELECT', 'data', 'secret');
    for (const [i, id] of ids.entries()) expectBytes(await zstor.ask('GET', id), chunks[i]!);
    const found: Buffer[] = [];
    for (let page = await zstor.ask('SCAN'); Array.isArray(page); page = await zstor.ask('SCAN', page[0])) {
      found.push(...(page[1] as [Buffer][]).map(([key]) => key));
    }
    expect(found).toEqual(ids);
    const info = String(await zstor.ask('NSINFO', 'data'));
    expect(info).toContain('mode: sequential\n');
    expect(info).toContain(`data_size_bytes: ${10 * MIB}\n`);
  });

  test('holds no more than its quota, however many write at once', async () => {
    const daemon = await start(await emptyDirectory());
    const admin = client(daemon.port);
    await admin.ask('NSNEW', 'small');
    await admin.ask('NSSET', 'small', 'maxsize', '100000');
    const writers = Array.from({ length: 20 }, () => client(daemon.port));
    const answers = await Promise.all(
      writers.map(async (writer, i) => {
        await writer.ask('SELECT', 'small');
        return writer.ask('SET', `k${i}`, patternBytes(9000, i));
      }),
    );
    expect(answers.filter((answer) => Buffer.isBuffer(answer))).toHaveLength(11);
    expect(answers.filter((answer) => answer === '-No space left on this namespace')).toHaveLength(9);
    await writers[0]!.ask('DEL', 'k0');
    const again = (await writers[0]!.ask('SET', 'again', patternBytes(9000, 1))) as Buffer;
    expect(String(again)).toMatch(/again|No space/);
  });

  test('has a history, and wakes who waits', async () => {
    const daemon = await start(await emptyDirectory());
    const [one, two] = [client(daemon.port), client(daemon.port)];
    for (const value of ['first', 'second', 'third']) await one.ask('SET', 'k', value);
    const seen: string[] = [];
    let at: Buffer | undefined;
    do {
      const reply = (await one.ask('HISTORY', 'k', ...(at ? [at] : []))) as [Buffer | null, number, Buffer];
      seen.push(String(reply[2]));
      at = reply[0] ?? undefined;
    } while (at !== undefined);
    expect(seen).toEqual(['third', 'second', 'first']);
    const waiting = two.ask('WAIT', 'SET', '5000');
    await systemClock.sleep(50);
    await one.ask('SET', 'k', 'fourth');
    expect(await waiting).toBe('+SET');
    expect(await two.ask('WAIT', '*', '100')).toBe('-Timeout');
  });

  test('never answers wrong bytes: what rots is an error, and CHECK says so', async () => {
    const directory = await emptyDirectory();
    const daemon = await start(directory);
    const user = client(daemon.port);
    const value = patternBytes(300_000, 5);
    await user.ask('SET', 'sound', 'sound');
    await user.ask('SET', 'rotten', value);
    for (const name of (await readdir(directory)).filter((file) => file.endsWith('.seg'))) {
      const at = (await readFile(join(directory, name))).indexOf(value.subarray(1000, 1064));
      if (at < 0) continue;
      const file = await open(join(directory, name), 'r+');
      await file.write(Buffer.from([value[1000]! ^ 1]), 0, 1, at);
      await file.close();
    }
    expect(await user.ask('GET', 'rotten')).toBe('-The stored value is damaged');
    expect(await user.ask('CHECK', 'rotten')).toBe(0);
    expect(await user.ask('GET', 'sound')).toEqual(Buffer.from('sound'));
    expect(await user.ask('SET', 'rotten', value)).toEqual(Buffer.from('rotten'));
    expectBytes(await user.ask('GET', 'rotten'), value);
  });
});

describe('the daemon', () => {
  test('is alone in its directory, and takes it over from one that was killed', async () => {
    const directory = await emptyDirectory();
    await start(directory);
    await expect(start(directory)).rejects.toThrow(`${directory} is in use by another node`);
    const deep = join(await emptyDirectory(), 'a'.repeat(120));
    await start(deep);
    await expect(start(deep)).rejects.toThrow('in use by another node');
  });

  test('keeps everything through a restart, settings and sequential ids included', async () => {
    const directory = await emptyDirectory();
    const first = await start(directory, { adminPassword: Buffer.from('pw') });
    const admin = client(first.port);
    expect(await admin.ask('NSNEW', 'x')).toBe('-Permission denied');
    await admin.ask('AUTH', 'pw');
    await admin.ask('NSNEW', 'kept');
    await admin.ask('NSSET', 'kept', 'mode', 'seq');
    await admin.ask('NSSET', 'kept', 'password', 'secret');
    await admin.ask('NSNEW', 'gone');
    await admin.ask('SELECT', 'gone');
    await admin.ask('SET', 'k', 'v');
    await client(first.port).ask('PING');
    await admin.ask('NSDEL', 'gone');
    const user = client(first.port);
    await user.ask('SELECT', 'kept', 'secret');
    expect(await user.ask('SET', '', 'zero')).toEqual(Buffer.alloc(8));
    await first.close();
    const second = await start(directory, { adminPassword: Buffer.from('pw') });
    const again = client(second.port);
    expect(await again.ask('SELECT', 'gone')).toBe('-Namespace not found');
    expect(await again.ask('SELECT', 'kept')).toBe('+OK');
    expect(await again.ask('SET', '', 'one')).toBe('-Namespace is in read-only mode');
    await again.ask('SELECT', 'kept', 'secret');
    expect(await again.ask('SET', '', 'one')).toEqual(Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));
    expect(await again.ask('DBSIZE')).toBe(2);
  });

  test('cuts off who sends a byte now and then, and serves everybody else', async () => {
    let skipMs = 0;
    const clock = {
      ...systemClock,
      monotonicMs: () => systemClock.monotonicMs() + skipMs,
      schedule: (delayMs: number, fire: () => void) => systemClock.schedule(delayMs / 100, fire),
    };
    const daemon = await start(await emptyDirectory(), { clock });
    const slow = connect(daemon.port!, '127.0.0.1');
    slow.on('error', () => undefined);
    onTestFinished(() => void slow.destroy());
    const closed = once(slow, 'close');
    const timer = setInterval(() => {
      skipMs += 1000;
      slow.write(slow.bytesWritten === 0 ? '*2\r\n$3\r\nGET\r\n$100\r\n' : 'x');
    }, 10);
    expect(await client(daemon.port).ask('PING')).toBe('+PONG');
    await closed;
    clearInterval(timer);
    expect(await client(daemon.port).ask('PING')).toBe('+PONG');
  });

  test('serves two thousand connections at once', async () => {
    const daemon = await start(await emptyDirectory(), { connectionsMax: 3000 });
    const many = Array.from({ length: 2000 }, () => client(daemon.port));
    const answers = await Promise.all(many.map((one, i) => one.ask('SET', `key ${i}`, `value ${i}`)));
    expect(answers.every((answer, i) => Buffer.from(`key ${i}`).equals(answer as Buffer))).toBe(true);
    expect(await many[0]!.ask('DBSIZE')).toBe(2000);
  });

  test('loses nothing that it acknowledged when it is killed', async () => {
    const directory = await emptyDirectory();
    const command = [
      'bin/holdfast.js',
      'node',
      '--data',
      directory,
      '--listen',
      '127.0.0.1:0',
      '--tls-listen',
      'off',
    ];
    const acknowledged = new Map<string, Buffer>();
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'pipe'] });
      onTestFinished(() => void child.kill('SIGKILL'));
      let said = '';
      child.stderr.on('data', (text: Buffer) => (said += text));
      while (!/listens on [^ ]+:\d+/.test(said)) {
        if (child.exitCode !== null) throw new Error(said);
        await systemClock.sleep(20);
      }
      const port = Number(/listens on [^ ]+:(\d+)/.exec(said)![1]);
      const reader = new ZdbClient(port);
      for (const [key, value] of acknowledged) expectBytes(await reader.ask('GET', key), value);
      reader.close();
      let running = true;
      const writers = Array.from({ length: 8 }, async (_, w) => {
        const writer = new ZdbClient(port);
        for (let i = 0; running; i++) {
          const key = `${w}/${i % 40}`;
          const value = patternBytes(50 + ((i * 7919) % 40_000), round * 1000 + i);
          const before = acknowledged.get(key);
          acknowledged.delete(key);
          const answer = await writer.send('SET', key, value);
          if (answer === CLOSED) break;
          if (plain(answer) === null) acknowledged.set(key, before ?? value);
          else acknowledged.set(key, value);
        }
        writer.close();
      });
      await systemClock.sleep(700);
      child.kill('SIGKILL');
      await once(child, 'close');
      running = false;
      await Promise.all(writers);
      expect(acknowledged.size).toBeGreaterThan(100);
    }
  });
});
