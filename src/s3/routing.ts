/**
 * Which bucket and key a request is about. Path style (`/bucket/key`) always works; virtual-host style
 * (`bucket.<domain>`) for the configured domains, `*.s3.<domain>` and `localhost`
 * (docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html). Names are not validated here: that is `objects`.
 */
import { HoldfastError } from '../base/errors.ts';
import { KEY_BYTES_MAX } from '../objects/names.ts';

export interface Route {
  readonly level: 'service' | 'bucket' | 'object';
  readonly bucket: string;
  readonly key: string;
}

export class HostRules {
  /** Longest suffix first, so that `b.s3.example.com` is bucket `b`, not `b.s3`. */
  readonly #suffixes: readonly string[];
  readonly #hosts: ReadonlySet<string>;

  constructor(domains: readonly string[]) {
    const all = [...domains.map((domain) => domain.toLowerCase()), 'localhost'];
    const withService = all.flatMap((domain) => [domain, `s3.${domain}`]);
    this.#hosts = new Set(withService);
    this.#suffixes = withService.map((domain) => `.${domain}`).sort((a, b) => b.length - a.length);
  }

  /** The bucket named by a Host header; empty for path style. */
  bucketOf(hostHeader: string): string {
    const host = withoutPort(hostHeader.toLowerCase());
    if (this.#hosts.has(host)) return '';
    for (const suffix of this.#suffixes) {
      if (host.length > suffix.length && host.endsWith(suffix)) return host.slice(0, -suffix.length);
    }
    return '';
  }
}

function withoutPort(host: string): string {
  if (host.startsWith('[')) return host.slice(0, host.indexOf(']') + 1);
  const colon = host.indexOf(':');
  return colon < 0 ? host : host.slice(0, colon);
}

/** `path` is decoded and starts with a slash; `hostBucket` is empty for path style. */
export function route(path: string, hostBucket: string): Route {
  if (hostBucket !== '') return named(hostBucket, path.slice(1));
  if (path === '/') return { level: 'service', bucket: '', key: '' };
  const slash = path.indexOf('/', 1);
  const bucket = slash < 0 ? path.slice(1) : path.slice(1, slash);
  if (bucket === '') throw new HoldfastError('InvalidBucketName', { fields: { BucketName: '' } });
  return named(bucket, slash < 0 ? '' : path.slice(slash + 1));
}

function named(bucket: string, key: string): Route {
  if (key === '') return { level: 'bucket', bucket, key };
  if (key.length > KEY_BYTES_MAX / 3 && Buffer.byteLength(key) > KEY_BYTES_MAX) {
    throw new HoldfastError('KeyTooLongError', {
      fields: { Size: String(Buffer.byteLength(key)), MaxSizeAllowed: String(KEY_BYTES_MAX) },
    });
  }
  return { level: 'object', bucket, key };
}
