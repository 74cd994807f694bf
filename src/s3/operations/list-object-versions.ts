/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
 * Buckets are unversioned: each key has one version, the latest, whose id is `null`, and there are no delete
 * markers.
 */

import { invalidArgument } from '../headers-values.ts';
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
import { xmlText } from './support/responses.ts';

export const listObjectVersions: Operation = {
  name: 'ListObjectVersions',
  method: 'GET',
  level: 'bucket',
  selectors: { versions: true },
  parameters: [...COMMON_LIST_PARAMETERS, 'key-marker', 'version-id-marker'],
  headers: LIST_HEADERS,
  async handle(context) {
    const listing = readListing(context);
    const keyMarker = context.query.get('key-marker') ?? '';
    const versionIdMarker = context.query.get('version-id-marker') ?? '';
    checkMarkers(keyMarker, versionIdMarker);
    const page = await listPage(context, listing, keyMarker);
    let paging = leaf('KeyMarker', listing.encode(keyMarker));
    paging += leaf('VersionIdMarker', escapeXml(versionIdMarker));
    if (page.next !== undefined) {
      paging += leaf('NextKeyMarker', listing.encode(page.next));
      if (!page.commonPrefixes.includes(page.next)) paging += leaf('NextVersionIdMarker', 'null');
    }
    return xmlText(
      listingDocument(
        'ListVersionsResult',
        listingStart(context, listing) +
          paging +
          listingEnd(listing, page, ownerElement(context.identity), true),
      ),
    );
  },
};

function checkMarkers(keyMarker: string, versionIdMarker: string): void {
  if (versionIdMarker === '') return;
  if (keyMarker === '') {
    throw invalidArgument(
      'version-id-marker',
      versionIdMarker,
      'A version-id marker cannot be specified without a key marker.',
    );
  }
  if (versionIdMarker !== 'null') {
    throw invalidArgument('version-id-marker', versionIdMarker, 'Invalid version id specified');
  }
}
