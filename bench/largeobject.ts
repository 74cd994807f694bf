/**
 * A 4-GiB object up in parts and down by ranges, with the server's peak memory: `node bench/largeobject.ts [GiB]`. Every range is compared.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { TestS3 } from '../test/harness/s3.ts';
import { startServer } from '../test/harness/server.ts';

const MIB = 1024 * 1024;
const gib = Number(process.argv[2] ?? 4);
const partBytes = 64 * MIB;
const partCount = (gib * 1024 * MIB) / partBytes;
const UPLOADS_AT_ONCE = 3;

/** Bytes of part n: a block that names its place, so that a wrong range cannot look right. */
function part(number: number): Buffer {
  const block = createHash('sha512').update(`part ${number}`).digest();
  const bytes = Buffer.alloc(partBytes, block);
  for (let at = 0; at < partBytes; at += MIB) bytes.writeUInt32BE(number * 1000 + at / MIB, at);
  return bytes;
}

const server = await startServer({ flags: ['--log-level', 'warn'] });
const s3 = new TestS3(server);
const peakMiB = () => {
  const status = readFileSync(`/proc/${server.process.pid}/status`, 'utf8');
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024);
};
try {
  await s3.ok('PUT', '/large');
  const created = await s3.ok('POST', '/large/object', { query: { uploads: '' } });
  const uploadId = /<UploadId>([^<]+)</.exec(created.body.toString())?.[1] ?? '';
  const etags: string[] = [];
  let next = 1;
  let startedMs = performance.now();
  const upload = async () => {
    for (let number = next++; number <= partCount; number = next++) {
      const query = { partNumber: String(number), uploadId };
      const reply = await s3.ok('PUT', '/large/object', { query, body: part(number) });
      etags[number - 1] = reply.headers.get('etag') ?? '';
    }
  };
  await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, upload));
  const list = etags
    .map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`)
    .join('');
  await s3.ok('POST', '/large/object', {
    query: { uploadId },
    body: `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`,
  });
  const rate = (ms: number) => `${((gib * 1024) / (ms / 1000)).toFixed(0)} MiB/s`;
  process.stdout.write(`${gib} GiB up   ${rate(performance.now() - startedMs)}  peak RSS ${peakMiB()} MiB\n`);
  startedMs = performance.now();
  for (let number = 1; number <= partCount; number++) {
    const first = (number - 1) * partBytes;
    const headers = { range: `bytes=${first}-${first + partBytes - 1}` };
    const reply = await s3.ok('GET', '/large/object', { headers });
    if (!reply.body.equals(part(number))) throw new Error(`range ${number} came back wrong`);
  }
  process.stdout.write(`${gib} GiB down ${rate(performance.now() - startedMs)}  peak RSS ${peakMiB()} MiB\n`);
} finally {
  await server.stop();
  await rm(server.data, { recursive: true, force: true });
}
