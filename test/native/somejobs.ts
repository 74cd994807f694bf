/** Jobs of every kind on native threads, for tests of what happens around them. Large enough that some are under way for a while. */
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NativeJobs, nativeJobs } from '../../src/base/nativejobs.ts';

const [K, M, CHUNKS] = [4, 2, 32];
const FRAGMENT_BYTES = CHUNKS * 16_400;
const PLAINTEXT_BYTES = K * CHUNKS * 16_384;
const KEY_BYTES = 44;
const ALL_DIGESTS = 63;

export function requireJobs(): NativeJobs {
  const jobs = nativeJobs();
  if (jobs === undefined) throw new Error('no addon');
  return jobs;
}

/** Packs one run of whole chunks as native/binding/jobs_stripe.c reads it. */
export function packedRun(lengthBytes: number, firstChunkIndex = 0): Buffer {
  const run = Buffer.alloc(64, 7, 'latin1').fill(0, KEY_BYTES);
  run.writeUInt32LE(lengthBytes, 52);
  run.writeUInt32LE(firstChunkIndex % 2 ** 32, 56);
  run.writeUInt32LE(Math.floor(firstChunkIndex / 2 ** 32), 60);
  return run;
}

const views = (area: Uint8Array, from: number, count: number) =>
  Array.from({ length: count }, (_, i) =>
    area.subarray((from + i) * FRAGMENT_BYTES, (from + i + 1) * FRAGMENT_BYTES),
  );

type Submit = (jobs: NativeJobs) => Promise<unknown>;

/** Nobody but the jobs themselves keeps their memory. */
export const jobKinds: Readonly<Record<string, Submit>> = {
  seal: (jobs) => {
    const [plaintext, fragments] = [
      new Uint8Array(PLAINTEXT_BYTES).fill(3),
      new Uint8Array((K + M) * FRAGMENT_BYTES),
    ];
    const [run, roots] = [packedRun(PLAINTEXT_BYTES), new Uint8Array((K + M) * 32)];
    return jobs.run(
      (id) => jobs.addon.seal(id, plaintext, fragments, run, K, M, FRAGMENT_BYTES, roots),
      plaintext,
      fragments,
      run,
      roots,
    );
  },
  encode: (jobs) => {
    const [fragments, roots] = [
      new Uint8Array((K + M) * FRAGMENT_BYTES).fill(5),
      new Uint8Array((K + M) * 32),
    ];
    return jobs.run(
      (id) => jobs.addon.encode(id, fragments, K * FRAGMENT_BYTES, K, M, FRAGMENT_BYTES, roots),
      fragments,
      roots,
    );
  },
  reconstruct: (jobs) => {
    const [area, roots] = [new Uint8Array((K + M) * FRAGMENT_BYTES).fill(5), new Uint8Array(M * 32)];
    const [sources, wanted] = [views(area, M, K), views(area, 0, M)];
    const indices = [Uint8Array.of(2, 3, 4, 5), Uint8Array.of(0, 1)] as const;
    return jobs.run(
      (id) => jobs.addon.reconstruct(id, K, M, indices[0], sources, indices[1], wanted, roots),
      area,
      roots,
      indices,
    );
  },
  hash: (jobs) => {
    const [area, roots] = [new Uint8Array(K * FRAGMENT_BYTES).fill(9), new Uint8Array(K * 32)];
    return jobs.run((id) => jobs.addon.hashAll(id, views(area, 0, K), roots), area, roots);
  },
  /** Of bytes that were never sealed: the first chunk is refused. */
  open: (jobs) => {
    const [sealed, plaintext, keys] = [
      new Uint8Array(16_400),
      new Uint8Array(16_384),
      new Uint8Array(KEY_BYTES),
    ];
    return jobs
      .run((id) => jobs.addon.openChunks(id, sealed, plaintext, keys, 0, false), sealed, plaintext, keys)
      .catch(() => undefined);
  },
  digest: (jobs) => {
    const [digest, bytes] = [jobs.addon.digestNew(ALL_DIGESTS), new Uint8Array(PLAINTEXT_BYTES / 4).fill(1)];
    return jobs.run((id) => jobs.addon.digestUpdate(id, digest, bytes), digest, bytes);
  },
};

/** Appends to a file of its own, which is deleted with `close`. */
export function appendKind(): { readonly submit: Submit; readonly close: () => void } {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-jobs-'));
  const witness = join(directory, 'witness');
  writeFileSync(witness, '');
  const file = openSync(join(directory, 'file'), 'w');
  const submit: Submit = (jobs) => {
    const parts = [new Uint8Array(100_000).fill(1), new Uint8Array(0), new Uint8Array(4096).fill(2)];
    return jobs.run((id) => jobs.addon.append(id, file, 0, parts, witness), parts);
  };
  return { submit, close: () => rmSync(directory, { recursive: true, force: true }) };
}

interface Handle {
  readonly fd: number;
}

/** A connection whose peer says nothing; a receive on it lasts. */
export async function silentSocket(): Promise<{
  readonly descriptor: number;
  readonly close: () => void;
}> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const { connect } = await import('node:net');
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const client = connect(port, '127.0.0.1');
  const socket = await accepted;
  const descriptor = (socket as unknown as { _handle: Handle })._handle.fd;
  const close = () => {
    client.destroy();
    socket.destroy();
    server.close();
  };
  return { descriptor, close };
}
