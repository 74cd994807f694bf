/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 * A continuation token names the last key of the page before; where both are given it counts, and start-after
 * is only shown again. An empty token means the first page, as Ceph has it and some clients rely on.
 */
import type { Operation } from '../operation.ts';
import { escapeXml } from '../xml-build.ts';
import { leaf, listingDocument, ownerElement } from '../xml-listing.ts';
import {
  COMMON_LIST_PARAMETERS,
  LIST_HEADERS,
  listingEnd,
  listingStart,
  listPage,
  readListing,
} from './support/listing.ts';
import { decodeToken, encodeToken } from './support/parameters.ts';
import { xmlText } from './support/responses.ts';

export const listObjectsV2: Operation = {
  name: 'ListObjectsV2',
  method: 'GET',
  level: 'bucket',
  selectors: { 'list-type': '2' },
  parameters: [...COMMON_LIST_PARAMETERS, 'continuation-token', 'start-after', 'fetch-owner'],
  headers: LIST_HEADERS,
  async handle(context) {
    const { query } = context;
    const listing = readListing(context);
    const token = query.get('continuation-token');
    const startAfter = query.get('start-after');
    const page = await listPage(context, listing, token ? decodeToken(token) : (startAfter ?? ''));
    const owner = query.get('fetch-owner')?.toLowerCase() === 'true' ? ownerElement(context.identity) : '';
    let paging = leaf('KeyCount', page.objects.length + page.commonPrefixes.length);
    if (token !== null) paging += leaf('ContinuationToken', escapeXml(token));
    if (page.next !== undefined) paging += leaf('NextContinuationToken', encodeToken(page.next));
    if (startAfter) paging += leaf('StartAfter', listing.encode(startAfter));
    return xmlText(
      listingDocument(
        'ListBucketResult',
        listingStart(context, listing) + paging + listingEnd(listing, page, owner),
      ),
    );
  },
};
