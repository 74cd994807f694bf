/**
 * Malformed and mutated requests over the parser, and over whole sessions on a node whose disk is simulated: nothing crashes, nothing hangs,
 * and what is no request is answered with an error or ends the connection. Run by itself it takes the number of inputs for the parser:
 *
 *   node test/node/zdb/fuzz.ts 10000000
 */
import { fileURLToPath } from 'node:url';
import { encodeReply, encodeRequest } from '../../../src/base/resp/encode.ts';
import { RequestParser } from '../../../src/base/resp/requests.ts';
import { RespFault } from '../../../src/base/resp/values.ts';
import { Concurrent, LastReply } from '../../../src/node/server/session.ts';
import { NodeStore } from '../../../src/node/store.ts';
import { ZdbSession } from '../../../src/node/zdb/session.ts';
import { Waiters } from '../../../src/node/zdb/waiters.ts';
import { SimulatedDisk } from '../../simulation/disk.ts';
import { Prng } from '../../simulation/prng.ts';
import { simulatedOptions } from '../nodes.ts';

const LIMITS = { argumentsMax: 1024, valueBytesMax: 4096, requestBytesMax: 16_384 };
const words = [
  ...[
    'PING',
    'SET',
    'GET',
    'MGET',
    'DEL',
    'EXISTS',
    'CHECK',
    'SCAN',
    'RSCAN',
    'KSCAN',
    'HISTORY',
    'KEYCUR',
    'LENGTH',
  ],
  ...[
    'KEYTIME',
    'INFO',
    'DBSIZE',
    'NSNEW',
    'NSDEL',
    'NSLIST',
    'NSSET',
    'NSINFO',
    'SELECT',
    'FLUSH',
    'AUTH',
    'SECURE',
  ],
  ...[
    'CHALLENGE',
    'STOP',
    'RELOAD',
    'HOOKS',
    'default',
    'one',
    'two',
    'maxsize',
    'password',
    'mode',
    'seq',
    'worm',
  ],
  ...[
    'lock',
    'freeze',
    'public',
    '0',
    '1',
    '*',
    '',
    'k',
    'key',
    '99999999999999999999',
    '-1',
    '\r\n',
    '$5',
    'HF',
  ],
];

function argument(prng: Prng): Buffer {
  if (prng.below(4) > 0) return Buffer.from(prng.pick(words));
  return prng.bytes(prng.pick([0, 1, 4, 8, 17, 32, 255, 256, prng.below(3000)]));
}

function frame(prng: Prng): Buffer {
  const count = prng.below(50) === 0 ? prng.below(1100) : 1 + prng.below(4);
  return Buffer.concat(encodeRequest(Array.from({ length: count }, () => argument(prng))));
}

/** A valid frame with something wrong in it, or none at all. */
function mutated(prng: Prng): Buffer {
  const bytes = Buffer.from(frame(prng));
  switch (prng.below(7)) {
    case 0:
      bytes[prng.below(bytes.length)] = prng.below(256);
      return bytes;
    case 1:
      return bytes.subarray(0, prng.below(bytes.length));
    case 2:
      return Buffer.concat([bytes.subarray(prng.below(bytes.length)), bytes]);
    case 3:
      return Buffer.from(`*${prng.pick(['-1', '0', '1025', '1e3', '99999999999999999', ''])}\r\n`);
    case 4:
      return Buffer.from(`*1\r\n$${prng.pick(['-1', '4097', '0x10', '1 ', '9007199254740993'])}\r\n`);
    case 5:
      return prng.bytes(prng.below(60));
    default:
      return bytes;
  }
}

/** @returns how many requests were understood, and how many inputs were refused */
export function fuzzParser(seed: number, inputs: number): { requests: number; refused: number } {
  const prng = new Prng(seed);
  const count = { requests: 0, refused: 0 };
  let parser = new RequestParser(LIMITS);
  for (let input = 0; input < inputs; input++) {
    const bytes = mutated(prng);
    const cut = prng.below(3) === 0 ? prng.below(bytes.length + 1) : bytes.length;
    try {
      for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
        if (part.length === 0) continue;
        parser.push(part);
        while (parser.next() !== undefined) count.requests += 1;
        if (parser.announcedBytes > LIMITS.requestBytesMax) throw new Error('more was announced than may be');
      }
      if (prng.below(8) === 0) parser = new RequestParser(LIMITS);
    } catch (error) {
      if (!(error instanceof RespFault)) throw error;
      count.refused += 1;
      parser = new RequestParser(LIMITS);
    }
  }
  return count;
}

/** Random requests, any of which must come to an answer that can be sent. */
export async function fuzzSessions(seed: number, requests: number): Promise<number> {
  const prng = new Prng(seed);
  const store = await NodeStore.open(
    simulatedOptions(new SimulatedDisk(seed, { capacityBytes: 2 ** 30 }), prng.fork()),
  );
  const { clock } = simulatedOptions(new SimulatedDisk(seed), prng);
  const context = {
    ...{ store, clock, random: prng, waiters: new Waiters(), startedAtMs: 0, version: '0' },
    onFault: (error: unknown) => {
      throw error;
    },
    adminPassword: Buffer.alloc(0),
  };
  let session = new ZdbSession(context);
  let answered = 0;
  for (let i = 0; i < requests; i++) {
    const parser = new RequestParser(LIMITS);
    parser.push(frame(prng));
    let request: ReturnType<RequestParser['next']>;
    try {
      request = parser.next();
    } catch (error) {
      if (error instanceof RespFault) continue;
      throw error;
    }
    if (request === undefined) throw new Error('a whole frame is no request');
    const answer = await session.handle(request);
    if (answer instanceof LastReply) session = new ZdbSession(context);
    else if (!(answer instanceof Concurrent)) encodeReply(answer);
    answered += 1;
  }
  await store.close();
  return answered;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const inputs = Number(process.argv[2] ?? 1_000_000);
  const { requests, refused } = fuzzParser(Date.now(), inputs);
  process.stdout.write(`${inputs} inputs: ${requests} requests understood, ${refused} inputs refused\n`);
}
