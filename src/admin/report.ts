/**
 * What `holdfast status`, the status page and the metrics show: one report, computed from stripe records and from what
 * nodes answered, never from an empty queue. Sizes in bytes, times in milliseconds since 1970.
 */
import type { KernelsReport } from '../base/kernels.ts';
import type { NodeAdminState } from '../metadata/records.ts';
import type { EtagKind } from '../objects/types.ts';

export interface NodeReport {
  readonly id: number;
  readonly state: 'online' | 'suspect' | 'offline' | 'lost';
  readonly admin: NodeAdminState;
  /** A folder, or an address. */
  readonly path: string;
  readonly farm: string;
  readonly site?: string;
  readonly country?: string;
  readonly weight: number;
  /** Whether its answers mean stable storage, as far as it has said so. */
  readonly durable: boolean;
  /** It is reached over a network without TLS. */
  readonly isPlain: boolean;
  readonly fragments: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  readonly freeBytes: number;
  readonly filesystemId: string;
  readonly damagedRecords: number;
  readonly writeP95Ms: number;
  readonly readP95Ms: number;
  /** Why it is not online; empty when it is. */
  readonly problem: string;
}

export interface StripesReport {
  readonly total: number;
  /** All fragments known to be good and on nodes that answer. */
  readonly complete: number;
  readonly incomplete: number;
  /** Incomplete ones without any spare fragment: one more loss and data is gone. */
  readonly atRisk: number;
  /** Fewer than k fragments: objects in them cannot be read at the moment. */
  readonly unreadable: number;
  /** Written with fewer nodes than the profile asks for. */
  readonly narrow: number;
  /** Count by missing fragments: `byMissing[i]` stripes lack i. */
  readonly byMissing: readonly number[];
}

export interface HealingReport {
  readonly queuedStripes: number;
  /** One line for each thing that is being done now. */
  readonly doing: readonly string[];
  readonly rebuiltFragments: number;
  readonly rebuiltBytes: number;
  readonly bytesPerSecond: number;
  readonly remainingBytes: number;
  /** undefined when nothing is to be done or no rate is known yet. */
  readonly etaMs: number | undefined;
  readonly tombs: number;
  readonly orphansDeleted: number;
  /** Orphans above the limit of one sweep, which wait for the operator. */
  readonly orphansWaiting: number;
  /** Loss declarations are frozen: too many nodes dropped at once. */
  readonly frozen: boolean;
  readonly unrepairable: number;
}

export interface ScrubReport {
  readonly running: boolean;
  readonly verifiedFragments: number;
  readonly verifiedBytes: number;
  readonly foundCorrupt: number;
  readonly foundMissing: number;
  readonly lastCompletedMs: number | undefined;
  /** Age of the fragment that was verified longest ago. */
  readonly oldestUnverifiedMs: number | undefined;
}

export interface CapacityReport {
  /** For user bytes: k · T, with T the largest for which Σ min(capᵢ, T) ≥ n · T. */
  readonly usableBytes: number;
  readonly usedBytes: number;
}

export interface StatusReport {
  readonly version: string;
  readonly generatedAtMs: number;
  readonly startedAtMs: number;
  readonly endpoint: string;
  readonly grid: string;
  readonly profile: { readonly k: number; readonly m: number; readonly codec: string };
  readonly kernels: KernelsReport;
  /** Names of the codecs that this process has. */
  readonly codecs: readonly string[];
  readonly objects: { readonly count: number; readonly bytes: number; readonly buckets: number };
  readonly nodes: readonly NodeReport[];
  readonly stripes: StripesReport;
  /** When `stripes` was counted. */
  readonly stripesCountedMs: number;
  readonly healing: HealingReport;
  readonly scrub: ScrubReport;
  readonly capacity: CapacityReport;
  readonly survives: { readonly nodes: number; readonly disks: number; readonly text: string };
  readonly health: 'ok' | 'degraded' | 'at risk' | 'unreadable data';
  /** Sentences for a person: what is wrong, or what a promise does not cover here. */
  readonly warnings: readonly string[];
}

export interface ScrubResult {
  readonly verifiedFragments: number;
  readonly verifiedBytes: number;
  readonly corrupt: number;
  readonly missing: number;
  readonly unreachable: number;
  /** Nodes that could not be compared with the records. */
  readonly nodesAway: number;
  readonly orphans: number;
  readonly orphansDeleted: number;
  readonly rebuiltFragments: number;
  readonly unrepairable: number;
  readonly durationMs: number;
  readonly dryRun: boolean;
}

export interface BucketReport {
  readonly name: string;
  readonly createdMs: number;
  readonly objects: number;
  /** Of plaintext. */
  readonly bytes: number;
  /** Of what is written to it now. */
  readonly etag: EtagKind;
}

/** What can be changed of a bucket; absent is left as it is. */
export interface BucketSettings {
  readonly etag?: EtagKind;
}

/** What is said of a node that is to be added; `address` is a folder or `scheme://host:port`. */
export interface NodeToAdd {
  readonly address: string;
  readonly namespace?: string;
  readonly password?: string;
  readonly farm?: string;
  readonly site?: string;
  readonly country?: string;
  readonly weight?: number;
  readonly acceptNonDurable?: boolean;
  /** For a tls:// node: the token that it printed, or its fingerprint when it knows this gateway already. */
  readonly join?: string;
  readonly fingerprint?: string;
}

/** What the control socket can ask of a running gateway. */
export interface GatewayControl {
  status(): Promise<StatusReport>;
  /** Closes the node as if its process had ended; nothing is deleted. */
  stopNode(id: number): Promise<void>;
  startNode(id: number): Promise<void>;
  addNode(node: NodeToAdd): Promise<{ readonly id: number; readonly address: string }>;
  /** Gives the node up for good; what it had is rebuilt from the others. */
  removeNode(id: number): Promise<void>;
  /** Declares the node's data lost at once and gives its place to a new, empty node in `path` (its old folder when absent). */
  replaceNode(id: number, path: string | undefined): Promise<{ readonly id: number; readonly path: string }>;
  /**
   * Verifies every fragment now and repairs what is wrong (unless `dryRun`). With `deleteOrphans`, fragments that no record knows are
   * deleted however many they are.
   */
  scrub(options: { readonly dryRun: boolean; readonly deleteOrphans: boolean }): Promise<ScrubResult>;
  /** By name. */
  listBuckets(): Promise<readonly BucketReport[]>;
  setBucket(name: string, settings: BucketSettings): Promise<void>;
  metrics(): Promise<string>;
}
