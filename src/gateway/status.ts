/** Puts the status report together from what nodes answered, what stripe records say, and what healing does. */

import type { StatusReport } from '../admin/report.ts';
import { kernelsReport } from '../base/kernels.ts';
import { availableCodecs, codecById } from '../coding/registry.ts';
import { version } from '../config/version.ts';
import type { GridRegistry } from '../grid/registry.ts';
import { answers } from '../grid/types.ts';
import { diskLossesSurvived, survivalText, usableBytes } from '../healing/capacity.ts';
import type { Healer } from '../healing/healer.ts';
import { decodeCounter } from '../metadata/counter.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import type { NodeRecord } from '../metadata/records.ts';
import type { Profile } from '../stripes/types.ts';

export interface StatusSources {
  readonly registry: GridRegistry;
  readonly healer: Healer;
  readonly engine: MetadataEngine;
  readonly profile: Profile;
  readonly endpoint: string;
  readonly grid: string;
  readonly startedAtMs: number;
  readonly nowMs: () => number;
  /** Where a node is, for people. */
  readonly placeOf: (record: NodeRecord) => string;
  /** Why a node is not online. */
  readonly problemOf: (nodeId: number) => string;
  /** Whether the committer cannot write at the moment. */
  readonly isStalled: () => boolean;
  /** Written since the start with more fragments on one farm than the rule allows. */
  readonly relaxedStripes: number;
}

export async function buildStatus(sources: StatusSources): Promise<StatusReport> {
  const { registry, healer, engine, profile } = sources;
  const nodes = nodeReports(sources);
  const present = nodes.filter((node) => node.admin !== 'lost');
  const [objects, summary, healing, scrub] = await Promise.all([
    countObjects(engine),
    healer.stripes.summary(),
    healer.report(),
    scrubReport(healer),
  ]);
  const { missingBytes: _, countedMs, ...stripes } = summary;
  const filesystems = registry
    .nodes()
    .filter(answers)
    .map((node) => node.hello?.filesystemId ?? '');
  const nodeLosses = Math.max(0, profile.m - worstMissing(stripes.byMissing));
  const disks = stripes.unreadable > 0 ? 0 : diskLossesSurvived(filesystems, nodeLosses);
  const capacities = present.map((node) => node.capacityBytes);
  const online = present.filter((node) => node.state === 'online').length;
  const isShort = online < Math.max(present.length, profile.k + profile.m);
  const health = healthOf(stripes, isShort || sources.isStalled() || healer.inventories.isUnsure);
  return {
    version,
    generatedAtMs: sources.nowMs(),
    startedAtMs: sources.startedAtMs,
    endpoint: sources.endpoint,
    grid: sources.grid,
    profile: { k: profile.k, m: profile.m, codec: codecById(profile.codecId).name },
    kernels: kernelsReport(),
    codecs: availableCodecs.map(({ name }) => name),
    objects,
    nodes,
    stripes,
    stripesCountedMs: countedMs,
    healing,
    scrub,
    capacity: { usableBytes: usableBytes(capacities, profile.k, profile.m), usedBytes: objects.bytes },
    survives: { nodes: nodeLosses, disks, text: survivalText(nodeLosses, disks, new Set(filesystems).size) },
    health,
    warnings: warningsFor({ ...sources, nodes, stripes, disks, healing }),
  };
}

/** Lost nodes are shown until another has their place. */
function nodeReports({ registry, placeOf, problemOf }: StatusSources): StatusReport['nodes'] {
  const shown = registry
    .nodes()
    .filter(({ record }) => record.replacedBy === undefined && record.removed !== true);
  return shown.map((node) => ({
    id: node.id,
    state: node.state,
    admin: node.record.state,
    path: placeOf(node.record),
    ...(node.record.site === undefined ? {} : { site: node.record.site }),
    ...(node.record.country === undefined ? {} : { country: node.record.country }),
    weight: node.record.weight ?? 1,
    durable: node.hello?.durable ?? true,
    isPlain: node.record.address?.transport === 'plain',
    farm: node.record.farm,
    fragments: node.hello?.fragmentCount ?? 0,
    usedBytes: node.hello?.usedBytes ?? 0,
    capacityBytes: node.hello?.capacityBytes ?? 0,
    freeBytes: node.hello?.freeBytes ?? 0,
    filesystemId: node.hello?.filesystemId ?? '',
    damagedRecords: node.hello?.damagedRecords ?? 0,
    writeP95Ms: node.writeP95Ms,
    readP95Ms: node.readP95Ms,
    problem: node.state === 'online' ? '' : problemOf(node.id),
  }));
}

async function countObjects(engine: MetadataEngine): Promise<StatusReport['objects']> {
  const names = ['objects', 'bytes', 'buckets'].map((name) => keys.counter(name));
  const [count = 0, bytes = 0, buckets = 0] = (await engine.getMany(names)).map((value) =>
    decodeCounter(value),
  );
  return { count, bytes, buckets };
}

async function scrubReport(healer: Healer): Promise<StatusReport['scrub']> {
  const { scrubber } = healer;
  const { verifiedFragments, verifiedBytes, corrupt, missing } = scrubber.counts;
  return {
    running: scrubber.running,
    verifiedFragments,
    verifiedBytes,
    foundCorrupt: corrupt,
    foundMissing: missing,
    lastCompletedMs: scrubber.lastCompletedMs,
    oldestUnverifiedMs: scrubber.oldestUnverifiedMs,
  };
}

/** Most fragments that any stripe lacks. */
function worstMissing(byMissing: readonly number[]): number {
  return Math.max(
    0,
    byMissing.findLastIndex((count) => count > 0),
  );
}

/** `isLess`: nodes are missing or came back unseen, or metadata cannot be written. */
function healthOf(stripes: StatusReport['stripes'], isLess: boolean): StatusReport['health'] {
  if (stripes.unreadable > 0) return 'unreadable data';
  if (stripes.atRisk > 0) return 'at risk';
  return stripes.incomplete > 0 || isLess ? 'degraded' : 'ok';
}

function warningsFor(facts: {
  readonly profile: Profile;
  readonly nodes: StatusReport['nodes'];
  readonly stripes: StatusReport['stripes'];
  readonly healing: StatusReport['healing'];
  readonly disks: number;
  readonly isStalled: () => boolean;
  readonly relaxedStripes: number;
}): string[] {
  const { profile, nodes, stripes, healing } = facts;
  const online = nodes.filter((node) => node.state === 'online').length;
  const damaged = nodes.filter((node) => node.damagedRecords > 0);
  const lost = nodes.filter((node) => node.admin === 'lost');
  const warnings: string[] = [];
  if (facts.isStalled())
    warnings.push('Metadata cannot be written: writes get 503, reads go on. See the log.');
  if (online < profile.m + 1)
    warnings.push(`Only ${online} nodes answer: writes get 503 until there are ${profile.m + 1}.`);
  else if (online < profile.k + profile.m) {
    warnings.push(
      `${online} nodes answer; new stripes are written narrower than ${profile.k} + ${profile.m}.`,
    );
  }
  if (stripes.unreadable > 0)
    warnings.push(`${stripes.unreadable} stripes cannot be read until a node comes back.`);
  if (facts.relaxedStripes > 0) {
    warnings.push(
      `${facts.relaxedStripes} stripes were written with more fragments on one farm than the rule allows: there are too few farms.`,
    );
  }
  if (facts.disks === 0)
    warnings.push('Losing one disk can lose data: give the nodes disks of their own (grid.folders).');
  if (healing.frozen)
    warnings.push('Too many nodes dropped at once: none is declared lost until they come back.');
  if (healing.orphansWaiting > 0)
    warnings.push(
      `${healing.orphansWaiting} fragments that no record knows were left alone; "holdfast scrub --delete-orphans" deletes them.`,
    );
  const plain = nodes.filter((node) => node.isPlain && node.admin !== 'lost');
  if (plain.length > 0) {
    warnings.push(
      `${plain.length} nodes are reached without TLS: who can listen there sees sizes and times, and can cut or delay, but not read or forge.`,
    );
  }
  for (const node of nodes.filter((one) => !one.durable && one.admin !== 'lost')) {
    warnings.push(
      `Node ${node.id} answers before its data is on stable storage: an acknowledged write may lose its fragment there when it fails.`,
    );
  }
  for (const node of lost) {
    warnings.push(
      `Node ${node.id} was declared lost: "holdfast nodes replace ${node.id}" puts an empty one in its place.`,
    );
  }
  for (const node of damaged) {
    warnings.push(
      `Node ${node.id} found ${node.damagedRecords} damaged records on its disk; what they held is rebuilt.`,
    );
  }
  return warnings;
}
