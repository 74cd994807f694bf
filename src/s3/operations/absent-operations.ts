/**
 * Operations of S3 that Holdfast does not have and that no other file mentions. They are rows of the table so
 * that logs, metrics and the answer to the client have their names: NotImplemented, never something else by
 * accident. Reading the lock state of an object is answered as AWS does for a bucket that was created without
 * Object Lock.
 */
import { HoldfastError } from '../../base/errors.ts';
import { checkVersionId } from '../headers-copy-source.ts';
import type { Operation } from '../operation.ts';
import { absent } from './support/responses.ts';

export const absentOperations: readonly Operation[] = [
  lockState('GetObjectLegalHold', 'legal-hold'),
  lockState('GetObjectRetention', 'retention'),
  absent('PutObjectLegalHold', 'PUT', 'object', { 'legal-hold': true }),
  absent('PutObjectRetention', 'PUT', 'object', { retention: true }),
  absent('GetObjectTorrent', 'GET', 'object', { torrent: true }),
  absent('RestoreObject', 'POST', 'object', { restore: true }),
  absent('SelectObjectContent', 'POST', 'object', { select: true }),
  absent('RenameObject', 'PUT', 'object', { renameObject: true }),
  absent('UpdateObjectEncryption', 'PUT', 'object', { encryption: true }),
  absent('PostObject', 'POST', 'bucket', {}),
  absent('CreateSession', 'GET', 'bucket', { session: true }),
  absent('GetBucketAbac', 'GET', 'bucket', { abac: true }),
  absent('PutBucketAbac', 'PUT', 'bucket', { abac: true }),
  ...(['metadataConfiguration', 'metadataTable'] as const).flatMap((selector) => {
    const name = `Bucket${selector === 'metadataTable' ? 'MetadataTable' : 'Metadata'}Configuration`;
    return [
      absent(`Create${name}`, 'POST', 'bucket', { [selector]: true }),
      absent(`Get${name}`, 'GET', 'bucket', { [selector]: true }),
      absent(`Delete${name}`, 'DELETE', 'bucket', { [selector]: true }),
    ];
  }),
  absent('UpdateBucketMetadataInventoryTableConfiguration', 'PUT', 'bucket', {
    metadataInventoryTable: true,
  }),
  absent('UpdateBucketMetadataJournalTableConfiguration', 'PUT', 'bucket', { metadataJournalTable: true }),
];

function lockState(name: string, selector: string): Operation {
  return {
    name,
    method: 'GET',
    level: 'object',
    selectors: { [selector]: true },
    parameters: ['versionId'],
    headers: [],
    async handle({ objects, bucket, key, query }) {
      checkVersionId(query.get('versionId'));
      await objects.headObject({ bucket, key });
      throw new HoldfastError('InvalidRequest', {
        detail: 'Bucket is missing Object Lock Configuration',
      });
    },
  };
}
