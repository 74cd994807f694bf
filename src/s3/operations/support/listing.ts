/** What the three listings of objects share: parameters, the page, and the elements around it. */
import { HoldfastError } from '../../../base/errors.ts';
import type { ListResult } from '../../../objects/types.ts';
import type { OperationContext } from '../../operation.ts';
import { escapeXml } from '../../xml-build.ts';
import { commonPrefixElements, type KeyEncoder, keyEncoder, leaf, objectElement } from '../../xml-listing.ts';
import { checkOptionalAttributes, pageSize, urlEncoded } from './parameters.ts';

export const COMMON_LIST_PARAMETERS = ['prefix', 'delimiter', 'max-keys', 'encoding-type'];
export const LIST_HEADERS = ['x-amz-optional-object-attributes'];

export interface Listing {
  readonly prefix: string;
  readonly delimiter: string;
  readonly maxKeys: number;
  readonly urlEncoded: boolean;
  readonly encode: KeyEncoder;
}

/** @throws InvalidArgument */
export function readListing({ query, headers }: OperationContext): Listing {
  checkOptionalAttributes(headers['x-amz-optional-object-attributes']);
  const encoded = urlEncoded(query);
  return {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    maxKeys: pageSize(query, 'max-keys'),
    urlEncoded: encoded,
    encode: keyEncoder(encoded),
  };
}

const EMPTY_PAGE: ListResult = { objects: [], commonPrefixes: [], truncated: false, next: undefined };

/** A page of nothing is asked for by clients that only want to know whether the bucket is there. */
export async function listPage(
  context: OperationContext,
  listing: Listing,
  after: string,
): Promise<ListResult> {
  const { objects, bucket } = context;
  if (listing.maxKeys === 0) {
    await objects.headBucket(bucket);
    return EMPTY_PAGE;
  }
  const { prefix, delimiter, maxKeys } = listing;
  const page = await objects.listObjects({ bucket, prefix, delimiter, after, maxKeys });
  if (page.truncated && page.next === undefined) {
    throw new HoldfastError('InternalError', { detail: 'A truncated page does not say where it ends.' });
  }
  return page.truncated ? page : { ...page, next: undefined };
}

export function listingStart({ bucket }: OperationContext, listing: Listing): string {
  return leaf('Name', escapeXml(bucket)) + leaf('Prefix', listing.encode(listing.prefix));
}

/** Delimiter, encoding, whether it goes on, then the keys in order, then the common prefixes in order. */
export function listingEnd(listing: Listing, page: ListResult, owner: string, version = false): string {
  const { encode, delimiter, maxKeys } = listing;
  let text = leaf('MaxKeys', maxKeys);
  if (delimiter !== '') text += leaf('Delimiter', encode(delimiter));
  if (listing.urlEncoded) text += leaf('EncodingType', 'url');
  text += leaf('IsTruncated', page.truncated);
  for (const info of page.objects) text += objectElement(info, encode, owner, version);
  return text + commonPrefixElements(page.commonPrefixes, encode);
}
