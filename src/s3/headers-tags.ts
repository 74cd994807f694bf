/**
 * Object tags: the x-amz-tagging header and the limits that it shares with the Tagging document.
 * Source: docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html: at most 10 tags, keys of 1 to
 * 128 and values of up to 256 characters of letters, numbers, white space and `+ - = . _ : / @`.
 */
import { HoldfastError } from '../base/errors.ts';
import type { ObjectAttributes } from '../metadata/records.ts';
import { invalidArgument } from './headers-values.ts';

export const OBJECT_TAGS_MAX = 10;
const TAG_KEY_CHARACTERS_MAX = 128;
const TAG_VALUE_CHARACTERS_MAX = 256;
const TAG_CHARACTERS = /^[\p{L}\p{N}\p{Z}_.:/=+\-@]*$/u;

export type Tags = ObjectAttributes['tags'];

/**
 * `a=1&b=two%20words`, as a form. An absent or empty header means no tags.
 * @throws InvalidArgument when it is not such a form, else as `checkTags`
 */
export function parseTaggingHeader(value: string | undefined): Tags {
  if (!value) return [];
  const tags = value.split('&').map((pair): [string, string] => {
    const at = pair.indexOf('=');
    return at < 0
      ? [decode(pair, value), '']
      : [decode(pair.slice(0, at), value), decode(pair.slice(at + 1), value)];
  });
  checkTags(tags);
  return tags;
}

/** @throws InvalidTag, BadRequest when there are too many */
export function checkTags(tags: Tags): void {
  if (tags.length > OBJECT_TAGS_MAX) {
    throw new HoldfastError('BadRequest', {
      detail: `Object tags cannot be greater than ${OBJECT_TAGS_MAX}`,
    });
  }
  const keys = new Set<string>();
  for (const [key, value] of tags) {
    const keyValid = key.length >= 1 && key.length <= TAG_KEY_CHARACTERS_MAX && TAG_CHARACTERS.test(key);
    if (!keyValid) throw invalidTag('The TagKey you have provided is invalid', key);
    const valueValid = value.length <= TAG_VALUE_CHARACTERS_MAX && TAG_CHARACTERS.test(value);
    if (!valueValid) throw invalidTag('The TagValue you have provided is invalid', key, value);
    if (key.toLowerCase().startsWith('aws:')) {
      throw invalidTag('System tags cannot be added/updated by requester', key);
    }
    if (keys.has(key)) throw invalidTag('Cannot provide multiple Tags with the same key', key);
    keys.add(key);
  }
}

function invalidTag(detail: string, TagKey: string, TagValue?: string): HoldfastError {
  return new HoldfastError('InvalidTag', {
    detail,
    fields: { TagKey, ...(TagValue !== undefined && { TagValue }) },
  });
}

function decode(text: string, whole: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw invalidArgument(
      'x-amz-tagging',
      whole,
      "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
    );
  }
}
