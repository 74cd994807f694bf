/** The control socket's side of buckets: what `holdfast buckets` shows and changes. */
import type { GatewayControl } from '../admin/report.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { BucketAdministration } from '../objects/service.ts';

export function bucketControl(
  buckets: BucketAdministration,
): Pick<GatewayControl, 'listBuckets' | 'setBucket'> {
  return {
    listBuckets: async () => {
      const usage = await buckets.usage();
      return usage.map(({ name, createdMs, objects, bytes, etags }) => ({
        name,
        createdMs,
        objects,
        bytes,
        etag: etags,
      }));
    },
    setBucket: async (name, { etag }) => {
      if (etag === undefined) return;
      await buckets.setEtags(name, etag).catch((cause: unknown) => {
        throw hasCode(cause, 'NoSuchBucket') ? unknownBucket(name, cause) : cause;
      });
    },
  };
}

/** S3's sentence for it names no bucket, and an operator has only the sentence. */
function unknownBucket(name: string, cause: HoldfastError): HoldfastError {
  return new HoldfastError('NoSuchBucket', {
    detail: `there is no bucket ${name}; holdfast buckets list shows them`,
    cause,
  });
}
