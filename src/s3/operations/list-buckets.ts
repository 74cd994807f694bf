/** docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html */

import { invalidArgument, isoDate } from '../headers-values.ts';
import type { Operation } from '../operation.ts';
import { decodeToken, encodeToken, integer } from './support/parameters.ts';
import { ownerOf, xmlResponse } from './support/responses.ts';

const BUCKETS_MAX = 10_000;

export const listBuckets: Operation = {
  name: 'ListBuckets',
  method: 'GET',
  level: 'service',
  selectors: {},
  parameters: ['max-buckets', 'continuation-token', 'prefix', 'bucket-region'],
  headers: [],
  async handle({ query, objects, identity }) {
    const maxBuckets = integer(query.get('max-buckets'), 'max-buckets', BUCKETS_MAX);
    if (maxBuckets < 1 || maxBuckets > BUCKETS_MAX) {
      throw invalidArgument(
        'max-buckets',
        query.get('max-buckets') ?? '',
        `Argument max-buckets must be an integer between 1 and ${BUCKETS_MAX}`,
      );
    }
    const prefix = query.get('prefix') ?? '';
    const region = query.get('bucket-region');
    const token = query.get('continuation-token');
    const after = token ? decodeToken(token) : '';
    // Bucket names are ASCII, where JavaScript's order is that of the bytes.
    const matching = (await objects.listBuckets())
      .filter(({ name }) => name.startsWith(prefix) && name > after)
      .filter((bucket) => !region || bucket.region === region)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const page = matching.slice(0, maxBuckets);
    const last = page.at(-1);
    return xmlResponse('ListAllMyBucketsResult', {
      Owner: ownerOf(identity),
      Buckets: {
        Bucket: page.map((bucket) => ({
          Name: bucket.name,
          CreationDate: isoDate(bucket.createdMs),
          BucketRegion: bucket.region,
        })),
      },
      Prefix: prefix || undefined,
      ContinuationToken: last && matching.length > page.length ? encodeToken(last.name) : undefined,
    });
  },
};
