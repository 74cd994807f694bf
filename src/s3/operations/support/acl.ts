/**
 * ACLs, which here have one truth: the owner has FULL_CONTROL, nobody else anything. Getting one shows that,
 * putting one is accepted when it says the same.
 * Source: docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
 */
import type { IncomingHttpHeaders } from 'node:http';
import { HoldfastError } from '../../../base/errors.ts';
import { KIB } from '../../../base/units.ts';
import { notImplemented } from '../../headers-values.ts';
import type { OperationContext, OperationResponse, S3Identity } from '../../operation.ts';
import { parseXml, readFields } from '../../xml-parse.ts';
import { ownerOf, xmlResponse } from './responses.ts';

const XSI = 'http://www.w3.org/2001/XMLSchema-instance';
const DOCUMENT_BYTES_MAX = 64 * KIB;
/** AWS allows 100 grants of six elements. */
const DOCUMENT_TAGS_MAX = 1500;

export function aclResponse(identity: S3Identity): OperationResponse {
  const owner = ownerOf(identity);
  return xmlResponse('AccessControlPolicy', {
    Owner: owner,
    AccessControlList: {
      Grant: {
        Grantee: { '@_xmlns:xsi': XSI, '@_xsi:type': 'CanonicalUser', ...owner },
        Permission: 'FULL_CONTROL',
      },
    },
  });
}

/**
 * Accepts a canned ACL that `checkCanned` accepts, or a document that grants the owner FULL_CONTROL and
 * nothing more.
 * @throws NotImplemented, MalformedACLError, MissingSecurityHeader when there is neither
 */
export async function checkPutAcl(
  context: OperationContext,
  checkCanned: (headers: IncomingHttpHeaders) => void,
): Promise<void> {
  checkCanned(context.headers);
  const document = await context.document(DOCUMENT_BYTES_MAX);
  if (document.length > 0) return checkPolicy(document, context.identity);
  if (context.headers['x-amz-acl'] === undefined) {
    throw new HoldfastError('MissingSecurityHeader', { fields: { MissingHeaderName: 'x-amz-acl' } });
  }
}

function checkPolicy(document: Buffer, identity: S3Identity): void {
  const root = readFields(parseXml(document, 'AccessControlPolicy', DOCUMENT_TAGS_MAX), [
    'Owner',
    'AccessControlList',
  ]);
  const owner = root.element('Owner');
  const list = root.element('AccessControlList');
  if (!owner || !list) throw new HoldfastError('MalformedACLError');
  const grants = readFields(list, [], ['Grant']).all('Grant');
  const isOwner = readFields(owner, ['ID', 'DisplayName']).text('ID')?.trim() === identity.ownerId;
  const onlyOwner = grants.every((grant) => {
    const fields = readFields(grant, ['Grantee', 'Permission']);
    const grantee = fields.element('Grantee');
    if (!grantee) throw new HoldfastError('MalformedACLError');
    const id = readFields(grantee, ['ID', 'DisplayName', 'EmailAddress', 'URI', 'Type']).text('ID');
    return id?.trim() === identity.ownerId && fields.text('Permission')?.trim() === 'FULL_CONTROL';
  });
  if (!isOwner || !onlyOwner || grants.length === 0) {
    throw notImplemented("An ACL other than the owner's FULL_CONTROL");
  }
}
