/**
 * Exchanges that were recorded from a real 0-db 2.0.7, replayed against the daemon over TCP and compared byte for byte, but for what is
 * marked as varying. HOLDFAST_TEST_ZDB names a 0-db binary to replay them against as well.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { RespValue, SimpleString } from '../../../src/base/resp/values.ts';
import { CLOSED, plain, ZdbClient } from './client.ts';
import { emptyDirectory, start } from './daemons.ts';

interface Exchange {
  readonly on: string;
  readonly send: readonly string[];
  readonly reply: unknown;
}

const lines = readFileSync(join(import.meta.dirname, '../../vectors/0-db-transcripts.jsonl'), 'utf8').trim();
const exchanges = lines
  .split('\n')
  .slice(1)
  .map((line) => JSON.parse(line) as Exchange);

function argument(text: string, nonce: string): Buffer {
  const [, kind, rest] = /^@(rep|zeros|sha1):(.*)$/.exec(text) ?? [];
  if (kind === 'rep') {
    const [character, count] = rest!.split(':');
    return Buffer.from(character!.repeat(Number(count)));
  }
  if (kind === 'zeros') return Buffer.alloc(Number(rest));
  if (kind === 'sha1') return Buffer.from(createHash('sha1').update(`${nonce}:${rest}`).digest('hex'));
  const bytes = text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1');
}

/** Whether a reply is what was recorded, in which `~` stands for what varies. */
function expectRecorded(value: unknown, recorded: unknown, what: string): void {
  if (recorded === '~') return;
  if (recorded === ':~') {
    expect(typeof value, what).toBe('number');
  } else if (typeof recorded === 'string' && recorded.startsWith(':')) {
    expect(value, what).toBe(Number(recorded.slice(1)));
  } else if (Array.isArray(recorded)) {
    expect(Array.isArray(value) && value.length, what).toBe(recorded.length);
    for (const [i, part] of recorded.entries())
      expectRecorded((value as unknown[])[i], part, `${what} [${i}]`);
  } else if (typeof recorded === 'object' && recorded !== null) {
    expect(Buffer.isBuffer(value), `${what}: ${String(value)}`).toBe(true);
    const bytes = value as Buffer;
    if ('hex' in recorded) expect(bytes.toString('hex'), what).toBe(recorded.hex);
    if ('length' in recorded) expect(bytes.length, what).toBe(recorded.length);
    if ('keys' in recorded) {
      const text = bytes.toString('latin1').split('\n');
      const keys = text.filter((line) => line.includes(':')).map((line) => line.slice(0, line.indexOf(':')));
      expect(keys, what).toEqual(recorded.keys);
    }
  } else expect(value, what).toEqual(recorded);
}

async function replay(port: number): Promise<void> {
  const clients = new Map<string, ZdbClient>();
  const nonces = new Map<string, string>();
  try {
    for (const [line, { on, send, reply }] of exchanges.entries()) {
      const what = `line ${line + 2}: ${on} ${send.join(' ').slice(0, 60)}`;
      const client = clients.get(on) ?? new ZdbClient(port);
      clients.set(on, client);
      if (send[0] === 'close') {
        client.close();
        clients.delete(on);
        continue;
      }
      const request = send.map((text) => argument(text, nonces.get(on) ?? ''));
      const answer: RespValue | typeof CLOSED = await client.send(...request);
      if (send[2] === 'CHALLENGE') nonces.set(on, (answer as SimpleString).text);
      if (reply === 'disconnected') {
        const last = answer === CLOSED ? answer : await client.next();
        expect(last, what).toBe(CLOSED);
      } else expectRecorded(plain(answer), reply, what);
    }
  } finally {
    for (const client of clients.values()) client.close();
  }
}

test('the daemon answers what a real 0-db answered', async () => {
  const daemon = await start(await emptyDirectory(), { adminPassword: Buffer.from('admin') });
  await replay(daemon.port!);
  expect(daemon.said).toEqual([]);
});

const binary = process.env['HOLDFAST_TEST_ZDB'];
const title = 'a real 0-db answers what was recorded';
test.skipIf(binary === undefined)(
  binary ? title : `${title} (skipped: HOLDFAST_TEST_ZDB names none)`,
  async () => {
    const directory = await emptyDirectory();
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    const args = ['--data', join(directory, 'data'), '--index', join(directory, 'index')];
    const zdb = spawn(binary!, [
      ...args,
      '--admin',
      'admin',
      '--port',
      String(port),
      '--listen',
      '127.0.0.1',
    ]);
    onTestFinished(() => void zdb.kill('SIGKILL'));
    for (let attempt = 0; attempt < 100; attempt++) {
      const probe = new ZdbClient(port);
      const answer = await probe.ask('PING');
      probe.close();
      if (answer === '+PONG') break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await replay(port);
  },
);
