/** docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html, the first version of listing. */
import type { Operation } from '../operation.ts';
import { leaf, listingDocument, ownerElement } from '../xml-listing.ts';
import {
  COMMON_LIST_PARAMETERS,
  LIST_HEADERS,
  listingEnd,
  listingStart,
  listPage,
  readListing,
} from './support/listing.ts';
import { xmlText } from './support/responses.ts';

export const listObjects: Operation = {
  name: 'ListObjects',
  method: 'GET',
  level: 'bucket',
  selectors: {},
  parameters: [...COMMON_LIST_PARAMETERS, 'marker'],
  headers: LIST_HEADERS,
  async handle(context) {
    const listing = readListing(context);
    const marker = context.query.get('marker') ?? '';
    const page = await listPage(context, listing, marker);
    // Without a delimiter the client continues from the last key (API reference, NextMarker).
    const next = page.next !== undefined && listing.delimiter !== '' ? page.next : undefined;
    return xmlText(
      listingDocument(
        'ListBucketResult',
        listingStart(context, listing) +
          leaf('Marker', listing.encode(marker)) +
          (next === undefined ? '' : leaf('NextMarker', listing.encode(next))) +
          listingEnd(listing, page, ownerElement(context.identity)),
      ),
    );
  },
};
