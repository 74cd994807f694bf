/** docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html */
import { HoldfastError } from '../../base/errors.ts';
import { KIB } from '../../base/units.ts';
import { BODY_CHECKSUM_HEADERS } from '../headers-checksums.ts';
import { checkVersionId } from '../headers-copy-source.ts';
import { checkTags, type Tags } from '../headers-tags.ts';
import type { Operation } from '../operation.ts';
import { parseXml, readFields } from '../xml-parse.ts';

/** Ten tags of 384 characters, up to four bytes or one reference each, and room for white space. */
const DOCUMENT_BYTES_MAX = 64 * KIB;
const DOCUMENT_TAGS_MAX = 1000;

export const putObjectTagging: Operation = {
  name: 'PutObjectTagging',
  method: 'PUT',
  level: 'object',
  selectors: { tagging: true },
  parameters: ['versionId'],
  headers: [...BODY_CHECKSUM_HEADERS, 'content-type'],
  async handle(context) {
    const { objects, bucket, key, query } = context;
    checkVersionId(query.get('versionId'));
    const tags = readTagging(await context.document(DOCUMENT_BYTES_MAX));
    await objects.putTags(bucket, key, tags);
    return { status: 200 };
  },
};

function readTagging(document: Buffer): Tags {
  const root = readFields(parseXml(document, 'Tagging', DOCUMENT_TAGS_MAX), ['TagSet']);
  const set = root.element('TagSet');
  if (!set) throw new HoldfastError('MalformedXML', { detail: 'The request has no TagSet.' });
  const tags = readFields(set, [], ['Tag'])
    .all('Tag')
    .map((tag): [string, string] => {
      const fields = readFields(tag, ['Key', 'Value']);
      const [name, value] = [fields.text('Key'), fields.text('Value')];
      if (name === undefined || value === undefined) {
        throw new HoldfastError('MalformedXML', { detail: 'A Tag needs a Key and a Value.' });
      }
      return [name, value];
    });
  checkTags(tags);
  return tags;
}
