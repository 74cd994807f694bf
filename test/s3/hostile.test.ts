/** Bad input and bad days on real sockets: smuggling shapes, slow and broken clients, floods, shutdown. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Operation } from '../../src/s3/operation.ts';
import { codeOf, type Harness, head, keys, pattern, pooledBody, RawClient, start } from './harness.ts';
import { amzDate, signHeader } from './signer.ts';
import { sleepMs } from './sleep.ts';

const open: { close(): void | Promise<void> }[] = [];
afterEach(async () => {
  for (const item of open.splice(0).reverse()) await item.close();
});

async function harnessWith(...args: Parameters<typeof start>): Promise<Harness> {
  const harness = await start(...args);
  open.push(harness);
  return harness;
}

function client(harness: Harness): RawClient {
  const created = new RawClient(harness.port);
  open.push({ close: () => created.destroy() });
  return created;
}

const put = (harness: Harness, headers: Record<string, string>) =>
  head(harness, { method: 'PUT', path: '/bucket/k', headers });

const slowGet = (bytes: number): Operation => ({
  name: 'GetObject',
  method: 'GET',
  level: 'object',
  selectors: {},
  parameters: [],
  headers: [],
  handle: async () => ({ status: 200, body: pooledBody(pattern(bytes), 65_536) }),
});

describe('request smuggling shapes end the connection with one refusal', () => {
  const shapes: [string, (harness: Harness) => string][] = [
    [
      'two different lengths',
      (h) => put(h, { 'content-length': '3' }).replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n'),
    ],
    [
      'two equal lengths',
      (h) => put(h, { 'content-length': '3' }).replace('\r\n\r\n', '\r\nContent-Length: 3\r\n\r\n'),
    ],
    [
      'length and chunked',
      (h) => put(h, { 'content-length': '3' }).replace('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n'),
    ],
    [
      'chunked and length',
      (h) => put(h, { 'transfer-encoding': 'chunked' }).replace('\r\n\r\n', '\r\nContent-Length: 3\r\n\r\n'),
    ],
    ['chunked twice', (h) => put(h, { 'transfer-encoding': 'chunked, chunked' })],
    ['chunked behind another coding', (h) => put(h, { 'transfer-encoding': 'gzip, chunked' })],
    ['a coding that is not chunked', (h) => put(h, { 'transfer-encoding': 'identity' })],
    ['a misspelt coding', (h) => put(h, { 'transfer-encoding': 'xchunked' })],
    [
      'a space before the colon',
      (h) => put(h, { 'content-length': '3' }).replace('content-length:', 'content-length :'),
    ],
    [
      'a folded header',
      (h) => put(h, { 'content-length': '3' }).replace('\r\n\r\n', '\r\nx-a: b\r\n c: d\r\n\r\n'),
    ],
    ['a signed length', (h) => put(h, { 'content-length': '+3' })],
    ['a length in hex', (h) => put(h, { 'content-length': '0x3' })],
    ['a length with a comma', (h) => put(h, { 'content-length': '3, 3' })],
    ['two hosts', (h) => put(h, { 'content-length': '3' }).replace('\r\n\r\n', '\r\nHost: other\r\n\r\n')],
    [
      'a NUL in a header',
      (h) => put(h, { 'content-length': '3' }).replace('\r\n\r\n', '\r\nx-a: b\0c\r\n\r\n'),
    ],
    ['bare LF between headers', (h) => put(h, { 'content-length': '3' }).replaceAll('\r\n', '\n')],
    ['no host', () => 'GET /bucket/k HTTP/1.1\r\n\r\n'],
    ['no HTTP', () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
  ];
  for (const [name, build] of shapes) {
    test(name, async () => {
      const harness = await harnessWith([], { limits: { lingerMs: 50 } });
      const raw = client(harness);
      raw.send(`${build(harness)}0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n`);
      const response = await raw.receive();
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(codeOf(response)).not.toBe('');
      expect(codeOf(response)).not.toBe('InternalError');
      expect(
        harness.records.filter((record) => record.operation === 'PutObject' && record.status < 400),
      ).toEqual([]);
    });
  }
});

test('oversized headers and an oversized target', async () => {
  const harness = await harnessWith();
  for (const line of [
    `GET /b/k HTTP/1.1\r\nHost: x\r\nx-a: ${'a'.repeat(20_000)}\r\n\r\n`,
    `GET /b/${'k'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
  ]) {
    const raw = client(harness);
    raw.send(line);
    const response = await raw.receive();
    expect(`${response.status} ${codeOf(response)}`).toBe('400 RequestHeaderSectionTooLarge');
    await raw.waitClosed();
  }
});

test('more headers than node would keep by default are all seen', async () => {
  const harness = await harnessWith([], { limits: { headerBytesMax: 128 * 1024 } });
  const raw = client(harness);
  const many = Array.from({ length: 2500 }, (_, i) => `a${i}: b\r\n`).join('');
  raw.send(`GET /bucket/k HTTP/1.1\r\n${many}Host: x\r\nAuthorization: AWS a:b\r\n\r\n`);
  expect(codeOf(await raw.receive())).toBe('InvalidRequest');
});

describe('slow clients', () => {
  test('headers that never end', async () => {
    const harness = await harnessWith([], { limits: { headersDeadlineMs: 150 } });
    const raw = client(harness);
    raw.send('GET /bucket/k HTTP/1.1\r\nHost: x\r\n');
    const drip = setInterval(() => raw.send('x-a: b\r\n'), 40);
    const response = await raw.receive();
    clearInterval(drip);
    expect(codeOf(response)).toBe('RequestTimeout');
    await raw.waitClosed();
  });

  test('a connection that sends nothing', async () => {
    const harness = await harnessWith([], { limits: { headersDeadlineMs: 100 } });
    const raw = client(harness);
    await raw.waitClosed();
  });

  test('a body that stops', async () => {
    const harness = await harnessWith([], { limits: { bodyIdleMs: 100, lingerMs: 50 } });
    const raw = client(harness);
    raw.send(`${put(harness, { 'content-length': '100' })}abc`);
    const response = await raw.receive();
    expect(`${response.status} ${codeOf(response)}`).toBe('400 RequestTimeout');
    await raw.waitClosed();
  });

  test('a body that drips', async () => {
    const harness = await harnessWith([], {
      limits: { bodyIdleMs: 5000, bodyWindowMs: 300, bodyWindowBytes: 1000, lingerMs: 50 },
    });
    const raw = client(harness);
    raw.send(put(harness, { 'content-length': '100000' }));
    const drip = setInterval(() => raw.send('a'), 30);
    const response = await raw.receive();
    clearInterval(drip);
    expect(codeOf(response)).toBe('RequestTimeout');
    expect(response.body.toString()).toContain('too slowly');
  });

  test('a body that is slow but fast enough is taken', async () => {
    const harness = await harnessWith([], {
      limits: { bodyIdleMs: 200, bodyWindowMs: 200, bodyWindowBytes: 1000 },
    });
    const raw = client(harness);
    raw.send(put(harness, { 'content-length': '10000' }));
    for (let i = 0; i < 10; i++) {
      raw.send('a'.repeat(1000));
      await sleepMs(60);
    }
    expect((await raw.receive()).headers['x-bytes']).toBe('10000');
  });

  test('a handler that thinks longer than the body deadlines is not interrupted', async () => {
    const think: Operation = {
      ...slowGet(10),
      handle: async () => {
        await sleepMs(300);
        return { status: 200, body: '<Thought/>' };
      },
    };
    const harness = await harnessWith([think], {
      limits: { bodyIdleMs: 50, writeStallMs: 50, bodyWindowMs: 50 },
    });
    const raw = client(harness);
    raw.send(head(harness, { method: 'GET', path: '/bucket/k' }));
    expect((await raw.receive()).body.toString()).toBe('<Thought/>');
  });

  test('a reader that stops reading', async () => {
    const harness = await harnessWith([slowGet(64_000_000)], { limits: { writeStallMs: 200 } });
    const raw = client(harness);
    raw.send(head(harness, { method: 'GET', path: '/bucket/k' }));
    await raw.until(() => raw.received.length > 0, 'first bytes');
    raw.socket.pause();
    await sleepMs(100);
    for (let i = 0; i < 60 && harness.records.length === 0; i++) await sleepMs(50);
    expect(harness.records[0]?.status).toBe(499);
    expect(harness.server.activeRequests).toBe(0);
  });

  test('the rest of a refused body that never comes', async () => {
    const harness = await harnessWith([], { limits: { bodyIdleMs: 100 } });
    const raw = client(harness);
    raw.send('PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc');
    expect(codeOf(await raw.receive())).toBe('AccessDenied');
    await raw.waitClosed();
    await sleepMs(20);
    expect(harness.server.activeRequests).toBe(0);
  });
});

describe('bodies of the wrong length, broken connections', () => {
  test('a connection cut mid-body ends the handler and its signal', async () => {
    let outcome = '';
    const watching: Operation = {
      ...slowGet(0),
      name: 'PutObject',
      method: 'PUT',
      handle: async (context) => {
        const { signal } = context;
        try {
          for await (const piece of context.body()) expect(piece.length).toBeGreaterThan(0);
        } catch (error) {
          outcome = `${(error as { code: string }).code} ${signal.aborted}`;
          throw error;
        }
        return { status: 200 };
      },
    };
    for (const cut of ['destroy', 'reset', 'end'] as const) {
      const harness = await harnessWith([watching]);
      const raw = client(harness);
      outcome = '';
      raw.send(`${put(harness, { 'content-length': '100' })}abc`);
      await sleepMs(50);
      if (cut === 'destroy') raw.socket.destroy();
      else if (cut === 'reset') raw.socket.resetAndDestroy();
      else raw.socket.end();
      for (let i = 0; i < 50 && harness.records.length === 0; i++) await sleepMs(20);
      expect(outcome, cut).toMatch(/^IncompleteBody/);
      expect(harness.server.activeRequests, cut).toBe(0);
    }
  });

  test('a refused large body: the client sees the answer, then the connection closes', async () => {
    const harness = await harnessWith();
    const raw = client(harness);
    raw.send('PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n');
    for (let i = 0; i < 20; i++) raw.send(Buffer.alloc(100_000));
    const response = await raw.receive();
    expect(codeOf(response)).toBe('AccessDenied');
    expect(response.headers['connection']).toBe('close');
    await raw.waitClosed();
  });

  test('a refused small body is dropped and the connection kept', async () => {
    const harness = await harnessWith();
    const raw = client(harness);
    raw.send(`PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n${'a'.repeat(1000)}`);
    expect(codeOf(await raw.receive())).toBe('AccessDenied');
    raw.send(`${put(harness, { 'content-length': '3' })}abc`);
    expect((await raw.receive()).headers['x-bytes']).toBe('3');
  });

  test('many refused bodies on one connection leave nothing behind on it', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    open.push({ close: () => void process.off('warning', onWarning) });
    const harness = await harnessWith();
    const raw = client(harness);
    for (let i = 0; i < 40; i++) {
      raw.send('PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n');
      expect(codeOf(await raw.receive())).toBe('AccessDenied');
      raw.send('a'.repeat(1000));
    }
    await sleepMs(50);
    expect(warnings).toEqual([]);
    expect(harness.server.activeRequests).toBe(0);
  });

  test('bytes beyond the announced body are another request, and a bad one', async () => {
    const harness = await harnessWith();
    const raw = client(harness);
    raw.send(`${put(harness, { 'content-length': '3' })}abcdef\r\n\r\n`);
    const first = await raw.receive().catch(() => undefined);
    if (first?.status === 200) expect(first.headers['x-bytes']).toBe('3');
    await raw.waitClosed();
  });

  test('broken HTTP chunks', async () => {
    const harness = await harnessWith();
    const raw = client(harness);
    raw.send(`${put(harness, { 'transfer-encoding': 'chunked' })}3\r\nabc\r\nzz\r\n`);
    await raw.waitClosed();
    await sleepMs(20);
    expect(harness.records.every((record) => record.status >= 400)).toBe(true);
    expect(harness.server.activeRequests).toBe(0);
  });
});

describe('many at once', () => {
  test('pipelined requests are answered in order', async () => {
    const harness = await harnessWith();
    const raw = client(harness);
    const requests = Array.from(
      { length: 30 },
      (_, i) =>
        `${head(harness, { method: 'PUT', path: `/bucket/k${i}`, headers: { 'content-length': '4' } })}body`,
    );
    raw.send(requests.join(''));
    for (let i = 0; i < 30; i++) {
      const response = await raw.receive();
      expect(decodeURIComponent(response.headers['x-key'] ?? '')).toBe(`bucket k${i}`);
    }
  });

  test('a flood of unanswered requests on one connection ends it', async () => {
    const stuck: Operation = { ...slowGet(0), handle: () => new Promise(() => undefined) };
    const harness = await harnessWith([stuck]);
    const raw = client(harness);
    raw.send(head(harness, { method: 'GET', path: '/bucket/k' }).repeat(200));
    await raw.waitClosed();
  });

  test('a thousand idle connections, and one that is served', async () => {
    const harness = await harnessWith();
    const idle = Array.from({ length: 1000 }, () => client(harness));
    await Promise.all(idle.map((raw) => new Promise((resolve) => raw.socket.once('connect', resolve))));
    const raw = client(harness);
    raw.send(head(harness, { method: 'GET', path: '/' }));
    expect((await raw.receive()).status).toBe(200);
    expect(idle.every((each) => !each.closed)).toBe(true);
  });

  test('connections beyond the bound are closed, those within are served', async () => {
    const harness = await harnessWith([], { limits: { connectionsMax: 5 } });
    const five = Array.from({ length: 5 }, () => client(harness));
    await Promise.all(five.map((raw) => new Promise((resolve) => raw.socket.once('connect', resolve))));
    const sixth = client(harness);
    await sixth.waitClosed();
    five[0]?.send(head(harness, { method: 'GET', path: '/' }));
    expect((await five[0]?.receive())?.status).toBe(200);
  });
});

describe('stopping', () => {
  test('requests in flight finish, idle connections close, new ones are not taken', async () => {
    const think: Operation = {
      ...slowGet(0),
      handle: async () => {
        await sleepMs(150);
        return { status: 200, body: '<Late/>' };
      },
    };
    const harness = await harnessWith([think]);
    const idle = client(harness);
    idle.send(head(harness, { method: 'GET', path: '/' }));
    await idle.receive();
    const busy = client(harness);
    busy.send(head(harness, { method: 'GET', path: '/bucket/k' }));
    await sleepMs(30);
    const started = Date.now();
    const closed = harness.server.close({ graceMs: 5000 });
    const response = await busy.receive();
    expect(response.body.toString()).toBe('<Late/>');
    expect(response.headers['connection']).toBe('close');
    await closed;
    expect(Date.now() - started).toBeLessThan(2000);
    await idle.waitClosed();
    const late = client(harness);
    await late.waitClosed();
  });

  test('a body on its way is sent to its end, and its connection closed then', async () => {
    const harness = await harnessWith([slowGet(20_000_000)]);
    const raw = client(harness);
    raw.send(head(harness, { method: 'GET', path: '/bucket/k' }));
    await raw.until(() => raw.received.length > 0, 'first bytes');
    const started = Date.now();
    const closed = harness.server.close({ graceMs: 20_000 });
    expect((await raw.receive()).body.equals(pattern(20_000_000))).toBe(true);
    await closed;
    expect(Date.now() - started).toBeLessThan(5000);
  });

  test('what is left at the deadline is ended', async () => {
    let aborted = false;
    const stuck: Operation = {
      ...slowGet(0),
      handle: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true;
            reject(signal.reason);
          });
        }),
    };
    const harness = await harnessWith([stuck]);
    const raw = client(harness);
    raw.send(head(harness, { method: 'GET', path: '/bucket/k' }));
    await sleepMs(50);
    await harness.server.close({ graceMs: 50 });
    await raw.waitClosed();
    expect(aborted).toBe(true);
  });

  test('ready says no when the grid cannot serve, live still yes', async () => {
    const harness = await harnessWith([], { ready: () => false });
    const raw = client(harness);
    raw.send('GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n');
    expect((await raw.receive()).status).toBe(503);
    raw.send('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    expect((await raw.receive()).status).toBe(200);
  });
});

test('a port in use is one clear error', async () => {
  const harness = await harnessWith();
  const other = await start().then((started) => {
    open.push(started);
    return started;
  });
  const clash = other.server.listen('127.0.0.1', harness.port);
  await expect(clash).rejects.toMatchObject({ code: 'PortInUse' });
});

test('random bytes get an answer or a closed connection, and the server lives on', async () => {
  const harness = await harnessWith([], { limits: { headersDeadlineMs: 200 } });
  const signed = signHeader(
    { method: 'PUT', path: '/bucket/k', headers: { host: harness.host, 'content-length': '10' } },
    { keys, dateTime: amzDate(Date.now()) },
  );
  const good = Buffer.from(
    `PUT ${signed.target} HTTP/1.1\r\n${Object.entries(signed.headers)
      .map(([n, v]) => `${n}: ${v}\r\n`)
      .join('')}\r\n0123456789`,
  );
  let state = 12345;
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 8;
  };
  const rounds = Array.from({ length: 300 }, async () => {
    const bytes = Buffer.from(good);
    for (let i = next() % 4; i >= 0; i--) bytes[next() % bytes.length] = next() & 0xff;
    const raw = client(harness);
    raw.send(bytes.subarray(0, next() % 3 === 0 ? next() % bytes.length : bytes.length));
    await raw.until(() => raw.received.includes('\r\n\r\n') || raw.closed, 'anything', 10_000);
    raw.destroy();
  });
  await Promise.all(rounds);
  expect(harness.records.filter((record) => record.errorCode === 'InternalError')).toEqual([]);
  const raw = client(harness);
  raw.send(head(harness, { method: 'GET', path: '/' }));
  expect((await raw.receive()).status).toBe(200);
});
