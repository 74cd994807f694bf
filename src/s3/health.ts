/**
 * Probes that answer without a signature: `live` while the process serves at all, `ready` while it can do its work.
 * MinIO's paths answer too, because the probes that people have configured ask there.
 */
export type HealthProbe = 'live' | 'ready';

const probes: ReadonlyMap<string, HealthProbe> = new Map([
  ['/health/live', 'live'],
  ['/health/ready', 'ready'],
  ['/minio/health/live', 'live'],
  ['/minio/health/ready', 'ready'],
]);

/** Only unsigned requests are probes: a signed one for bucket `minio` or `health` is about an object. */
export function healthProbe(
  method: string | undefined,
  url: string,
  signed: boolean,
): HealthProbe | undefined {
  if (signed || (method !== 'GET' && method !== 'HEAD')) return undefined;
  return probes.get(url);
}
