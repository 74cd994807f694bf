/**
 * Prometheus metrics (prom-client). Requests are counted as they end; everything about nodes and stripes is taken from the status
 * report when /metrics is asked, so that it cannot disagree with `holdfast status`.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { StatusReport } from './report.ts';

export interface RequestSample {
  readonly operation: string;
  readonly status: number;
  readonly durationMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

const nodeStates = ['online', 'suspect', 'offline', 'lost'] as const;

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = new Counter({
    name: 'holdfast_s3_requests_total',
    help: 'S3 requests by operation and HTTP status',
    labelNames: ['operation', 'status'],
    registers: [this.#registry],
  });
  readonly #duration = new Histogram({
    name: 'holdfast_s3_request_seconds',
    help: 'Time from the head of a request to the end of its answer',
    labelNames: ['operation'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
    registers: [this.#registry],
  });
  readonly #received = this.#counter(
    'holdfast_s3_received_bytes_total',
    'Body bytes received from S3 clients',
  );
  readonly #sent = this.#counter('holdfast_s3_sent_bytes_total', 'Body bytes sent to S3 clients');
  readonly #nodes = this.#gauge('holdfast_nodes', 'Nodes by state', ['state']);
  readonly #nodeUsed = this.#gauge('holdfast_node_used_bytes', 'Bytes that fragments occupy on a node', [
    'node',
  ]);
  readonly #nodeFree = this.#gauge('holdfast_node_free_bytes', 'Bytes left for fragments on a node', [
    'node',
  ]);
  readonly #stripes = this.#gauge('holdfast_stripes', 'Stripes by condition', ['condition']);
  readonly #objects = this.#gauge('holdfast_objects', 'Objects stored');
  readonly #objectBytes = this.#gauge('holdfast_object_bytes', 'Bytes of objects stored');
  readonly #queued = this.#gauge('holdfast_repair_queue_stripes', 'Stripes that wait for repair');
  readonly #rebuilt = this.#gauge('holdfast_rebuilt_fragments', 'Fragments rebuilt since the start');
  readonly #usable = this.#gauge('holdfast_capacity_usable_bytes', 'User bytes that fit into the grid');
  readonly #kernels = this.#gauge('holdfast_kernels_info', 'Which kernels run', ['kind', 'level']);
  readonly #used = this.#gauge('holdfast_capacity_used_bytes', 'User bytes stored');

  constructor() {
    collectDefaultMetrics({ register: this.#registry, prefix: 'holdfast_process_' });
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  countRequest(sample: RequestSample): void {
    this.#requests.inc({ operation: sample.operation, status: sample.status });
    this.#duration.observe({ operation: sample.operation }, sample.durationMs / 1000);
    this.#received.inc(sample.bytesIn);
    this.#sent.inc(sample.bytesOut);
  }

  async render(report: StatusReport): Promise<string> {
    for (const state of nodeStates) {
      this.#nodes.set({ state }, report.nodes.filter((node) => node.state === state).length);
    }
    this.#nodeUsed.reset();
    this.#nodeFree.reset();
    for (const node of report.nodes) {
      this.#nodeUsed.set({ node: node.id }, node.usedBytes);
      this.#nodeFree.set({ node: node.id }, node.freeBytes);
    }
    for (const condition of ['total', 'complete', 'incomplete', 'atRisk', 'unreadable', 'narrow'] as const) {
      this.#stripes.set({ condition }, report.stripes[condition]);
    }
    this.#objects.set(report.objects.count);
    this.#objectBytes.set(report.objects.bytes);
    this.#queued.set(report.healing.queuedStripes);
    this.#rebuilt.set(report.healing.rebuiltFragments);
    this.#usable.set(report.capacity.usableBytes);
    this.#kernels.set({ kind: report.kernels.kind, level: report.kernels.level }, 1);
    this.#used.set(report.capacity.usedBytes);
    return this.#registry.metrics();
  }
}
