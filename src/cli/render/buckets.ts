/** `holdfast buckets` as text. The JSON form is the report itself. */
import type { BucketReport, BucketSettings } from '../../admin/report.ts';
import { formatBytes } from '../../base/units.ts';
import { columns, paint, type RenderOptions } from './style.ts';

export function renderBuckets(buckets: readonly BucketReport[], options: RenderOptions): string {
  const head = ['BUCKET', 'CREATED', 'OBJECTS', 'SIZE', 'ETAG'];
  const rows = buckets.map(({ name, createdMs, objects, bytes, etag }) => [
    name,
    `${new Date(createdMs).toISOString().slice(0, 19)}Z`,
    String(objects),
    formatBytes(bytes),
    etag,
  ]);
  const [headLine = '', ...lines] = columns([head, ...rows]);
  return [paint(headLine, 'grey', options), ...lines].join('\n');
}

export function renderBucketSet(name: string, { etag }: Required<BucketSettings>): string {
  const kind = etag === 'md5' ? 'the MD5 of its bytes' : 'opaque';
  return `the ETag of what is written to ${name} from now on is ${kind}`;
}
