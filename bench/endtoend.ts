/**
 * End to end: PUT and GET at 64 MiB, 1 MiB and 4 KiB, and listing, against the real server in its default settings (fsync before every
 * answer, encryption, 4 + 2), with throughput, latency and the server's CPU time. Run with `npm run bench`.
 *
 * Peers are measured in the same run, interleaved round by round, when they are named:
 * `HOLDFAST_BENCH_PEER=name,http://127.0.0.1:9100,access,secret,pid npm run bench`.
 */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startServer } from '../test/harness/server.ts';
import type { LoadResult, Plan } from './load/generator.ts';
import { presign, type Target } from './load/presign.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const generator = fileURLToPath(new URL('./load/generator.ts', import.meta.url));
const rounds = Number(process.env['HOLDFAST_BENCH_ROUNDS'] ?? 1);
const durationMs = Number(process.env['HOLDFAST_BENCH_SECONDS'] ?? 10) * 1000;
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

interface Contender {
  readonly name: string;
  readonly target: Target;
  readonly pid: number;
}

interface Scenario {
  readonly name: string;
  readonly plan: (target: Target) => Plan;
  /** What one request counts: bytes, requests, or keys of a listing. */
  readonly unit: 'MiB' | 'requests' | 'keys';
  readonly unitsPerRequest: number;
}

const many = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, i) => `/bench/${prefix}/${i}`);

function transfer(
  name: string,
  method: 'PUT' | 'GET',
  bytes: number,
  connections: number,
  count: number,
): Scenario {
  return {
    name,
    unit: bytes >= MIB ? 'MiB' : 'requests',
    unitsPerRequest: bytes >= MIB ? bytes / MIB : 1,
    plan: (target) => ({
      target,
      connections,
      method,
      paths: many(String(bytes), count),
      bodyBytes: method === 'PUT' ? bytes : 0,
      requestsMax: 1_000_000,
      durationMs,
    }),
  };
}

const scenarios: readonly Scenario[] = [
  transfer('PUT 64 MiB', 'PUT', 64 * MIB, 4, 16),
  transfer('GET 64 MiB', 'GET', 64 * MIB, 4, 4),
  transfer('PUT 1 MiB', 'PUT', MIB, 8, 200),
  transfer('GET 1 MiB', 'GET', MIB, 8, 8),
  transfer('PUT 4 KiB', 'PUT', 4 * KIB, 32, 20_000),
  transfer('GET 4 KiB', 'GET', 4 * KIB, 32, 32),
  {
    name: 'list 1,000 keys',
    unit: 'keys',
    unitsPerRequest: 1000,
    plan: (target) => ({
      target,
      connections: 4,
      method: 'GET',
      paths: ['/bench'],
      query: { 'list-type': '2', prefix: '4096/' },
      bodyBytes: 0,
      requestsMax: 1_000_000,
      durationMs,
    }),
  },
];

async function load(plan: Plan): Promise<LoadResult> {
  const child = spawn(process.execPath, [generator], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(plan));
  const pieces: Buffer[] = [];
  for await (const piece of child.stdout) pieces.push(piece as Buffer);
  return JSON.parse(Buffer.concat(pieces).toString()) as LoadResult;
}

/** User and system time of a process and all its threads. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

function memoryMiB(pid: number): number {
  const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(rss) / KIB);
}

async function measure(contender: Contender, scenario: Scenario): Promise<string> {
  const cpuBefore = cpuSeconds(contender.pid);
  const result = await load(scenario.plan(contender.target));
  const cpu = cpuSeconds(contender.pid) - cpuBefore;
  const units = result.requests * scenario.unitsPerRequest;
  const rate = units / (result.elapsedMs / 1000);
  const cost =
    scenario.unit === 'MiB'
      ? `${((cpu / units) * KIB).toFixed(2)} CPU-s/GiB`
      : `${((cpu / units) * 1000).toFixed(3)} CPU-s/1000 ${scenario.unit}`;
  const failures = result.failed > 0 ? `  FAILED ${result.failed}: ${result.firstFailure}` : '';
  return [
    contender.name.padEnd(10),
    scenario.name.padEnd(16),
    `${rate.toFixed(0)} ${scenario.unit}/s`.padStart(18),
    `p50 ${result.p50Ms.toFixed(1)} ms`.padStart(14),
    `p99 ${result.p99Ms.toFixed(1)} ms`.padStart(14),
    cost.padStart(28),
    `RSS ${memoryMiB(contender.pid)} MiB${failures}`,
  ].join('  ');
}

function peers(): Contender[] {
  const text = process.env['HOLDFAST_BENCH_PEER'];
  if (text === undefined) return [];
  const [name = '', url = '', accessKeyId = '', secretAccessKey = '', pid = ''] = text.split(',');
  const { hostname, port } = new URL(url);
  return [
    { name, target: { host: hostname, port: Number(port), accessKeyId, secretAccessKey }, pid: Number(pid) },
  ];
}

const server = await startServer({ flags: ['--log-level', 'warn'] });
const own: Contender = {
  name: 'holdfast',
  target: {
    host: '127.0.0.1',
    port: server.port,
    accessKeyId: server.accessKeyId,
    secretAccessKey: server.secretAccessKey,
  },
  pid: server.process.pid ?? 0,
};
const contenders = [own, ...peers()];
const only = process.env['HOLDFAST_BENCH_ONLY'];
try {
  for (const { target } of contenders) {
    await fetch(`http://${target.host}:${target.port}${presign(target, 'PUT', '/bench')}`, { method: 'PUT' });
  }
  for (let round = 1; round <= rounds; round++) {
    for (const scenario of scenarios) {
      if (only !== undefined && !scenario.name.includes(only)) continue;
      for (const contender of contenders) process.stdout.write(`${await measure(contender, scenario)}\n`);
    }
  }
} finally {
  await server.stop();
  await rm(server.data, { recursive: true, force: true });
}
