/**
 * End to end: PUT and GET at 64 MiB, 1 MiB and 4 KiB, and listing, against real servers, with throughput, latency and the server's CPU
 * time. Holdfast runs in its default settings (fsync before every answer, encryption, 4 + 2); with the others it is measured round
 * by round, scenario by scenario, so that what the machine does beside hits all of them alike.
 *
 *   node bench/endtoend.ts [--json FILE]
 *
 * HOLDFAST_BENCH_MINIO=FILE      the binary of MinIO to compare with, plain and with SSE-S3
 * HOLDFAST_BENCH_BEFORE=DIR      another checkout of Holdfast, installed and built
 * HOLDFAST_BENCH_DAEMONS=1       Holdfast over nine daemons of three farms on this machine, plain and over TLS
 * HOLDFAST_BENCH_PORTABLE=1      Holdfast without its native kernels
 * HOLDFAST_BENCH_ROUNDS=3 HOLDFAST_BENCH_SECONDS=6 (of each measurement)
 * HOLDFAST_BENCH_ONLY=TEXT       scenarios whose name has TEXT in it; several are divided by commas
 * HOLDFAST_BENCH_CLIENT=js       the load generator in JavaScript, for machines without Linux or a C compiler
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type Measurement, measure, settle } from './endtoend/measure.ts';
import { measurementLine, summaryTable, verdictTable } from './endtoend/report.ts';
import { judge, summarise } from './endtoend/results.ts';
import { bucket, deletionPlan, prefillPlan, type Scenario, scenarios } from './endtoend/scenarios.ts';
import { preferredClient, runLoad } from './load/client.ts';
import { presign, type Target } from './load/presign.ts';
import { withContenders } from './peers/arena.ts';
import type { Contender, Peer } from './peers/contender.ts';
import { holdfast, holdfastBefore, holdfastDaemons, holdfastPortable } from './peers/holdfast.ts';
import { minio, minioEncrypted } from './peers/minio.ts';

const OUTPUT_CHARACTERS = 2000;
const { values: options } = parseArgs({ options: { json: { type: 'string' } } });
const environment = process.env;
const rounds = Number(environment['HOLDFAST_BENCH_ROUNDS'] ?? 3);
const durationMs = Number(environment['HOLDFAST_BENCH_SECONDS'] ?? 6) * 1000;
const only = environment['HOLDFAST_BENCH_ONLY']?.split(',');
const chosen = scenarios.filter(({ name }) => only === undefined || only.some((text) => name.includes(text)));
const say = (text: string) => process.stdout.write(`${text}\n`);

function peers(): Peer[] {
  const before = environment['HOLDFAST_BENCH_BEFORE'];
  const binary = environment['HOLDFAST_BENCH_MINIO'];
  return [
    holdfast,
    ...(before ? [holdfastBefore(before)] : []),
    ...(environment['HOLDFAST_BENCH_DAEMONS'] === '1'
      ? [holdfastDaemons('plain'), holdfastDaemons('tls')]
      : []),
    ...(environment['HOLDFAST_BENCH_PORTABLE'] === '1' ? [holdfastPortable] : []),
    ...(binary ? [minio(binary), minioEncrypted(binary)] : []),
  ];
}

async function makeBucket(target: Target): Promise<void> {
  const path = presign(target, 'PUT', `/${bucket}`);
  const reply = await fetch(`http://${target.host}:${target.port}${path}`, { method: 'PUT' });
  if (!reply.ok) throw new Error(`the bucket was not made: ${reply.status} ${await reply.text()}`);
}

function fail({ scenario, load }: Measurement, contender: Contender): never {
  throw new Error(
    `${scenario} failed at ${contender.name}: ${load.firstFailure}\nIts output ends:\n${contender.output().slice(-OUTPUT_CHARACTERS)}`,
  );
}

/** Writes what a scenario reads. A contender that cannot take it has lost: nothing measured afterwards would count. */
async function prefill(contenders: readonly Contender[], scenario: Scenario): Promise<Measurement[]> {
  if (scenario.prefill === undefined) return [];
  const { name, bytes } = scenario.prefill;
  const measured: Measurement[] = [];
  for (const contender of contenders) {
    await settle(contenders);
    const plan = prefillPlan(scenario.prefill, contender.target);
    const inMiB = bytes >= 1024 * 1024;
    const unit = inMiB ? ('MiB' as const) : ('requests' as const);
    const unitsPerRequest = inMiB ? bytes / 1024 / 1024 : 1;
    const measurement = await measure(contender, { scenario: name, round: 0, unit, unitsPerRequest, plan });
    say(measurementLine(measurement));
    if (measurement.load.failed > 0) fail(measurement, contender);
    measured.push(measurement);
  }
  return measured;
}

/** A listing is only comparable when every page of it is full. */
async function checkPages(contender: Contender, scenario: Scenario): Promise<void> {
  if (scenario.unit !== 'keys') return;
  const { target } = contender;
  const { paths, queries = [] } = scenario.plan(target, durationMs, 0);
  for (const query of queries) {
    const path = presign(target, 'GET', paths[0] ?? '', query);
    const page = await (await fetch(`http://${target.host}:${target.port}${path}`)).text();
    const keys = page.match(/<Key>/g)?.length ?? 0;
    if (keys !== scenario.unitsPerRequest) throw new Error(`${contender.name} lists ${keys} keys on a page`);
  }
}

async function compete(contenders: readonly Contender[]): Promise<Measurement[]> {
  const measured: Measurement[] = [];
  for (const { target } of contenders) await makeBucket(target);
  for (const scenario of chosen) {
    measured.push(...(await prefill(contenders, scenario)));
    for (const contender of contenders) await checkPages(contender, scenario);
  }
  for (let round = 1; round <= rounds; round++) {
    for (const scenario of chosen) {
      for (const contender of contenders) {
        await settle(contenders);
        const plan = scenario.plan(contender.target, durationMs, round);
        const { name, unit, unitsPerRequest } = scenario;
        const measurement = await measure(contender, { scenario: name, round, unit, unitsPerRequest, plan });
        say(measurementLine(measurement));
        if (measurement.load.requests === 0) fail(measurement, contender);
        measured.push(measurement);
        if (scenario.fillsDisk) {
          await runLoad(deletionPlan(plan, measurement.load));
          await contender.emptyTrash?.();
        }
      }
    }
  }
  return measured;
}

const conditions = {
  processor: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  node: process.version,
  client: preferredClient(),
  rounds,
  secondsEach: durationMs / 1000,
};
say(
  Object.entries(conditions)
    .map(([name, value]) => `${name} ${value}`)
    .join(', '),
);
await withContenders(peers(), async (contenders) => {
  const measurements = await compete(contenders);
  const summaries = summarise(measurements);
  const verdicts = judge(measurements, chosen);
  say(`\n${summaryTable(summaries, measurements)}`);
  if (verdicts.length > 0) say(`\n${verdictTable(verdicts)}`);
  if (options.json === undefined) return;
  writeFileSync(
    options.json,
    `${JSON.stringify({ conditions, summaries, verdicts, measurements }, undefined, 2)}\n`,
  );
});
