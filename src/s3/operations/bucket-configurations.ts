/**
 * Bucket settings that Holdfast does not have, but that clients ask for. Reading one gives AWS's answer for a
 * bucket on which it was never configured, where that is the truth; setting or deleting one is NotImplemented
 * under its name. They differ only in names and codes, so they are one table and not a file each.
 * Source: docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html and the
 * error codes beside each operation.
 */
import { type ErrorCode, HoldfastError } from '../../base/errors.ts';
import type { Operation, OperationContext, OperationResponse } from '../operation.ts';
import { buildXml, type XmlObject } from '../xml-build.ts';
import { absent, xmlText } from './support/responses.ts';

interface Configuration {
  /** `Get…` and `Put…` stand before it. */
  readonly name: string;
  readonly selector: string;
  /** The error of an unconfigured bucket, or the root and content of its document. */
  readonly get: ErrorCode | readonly [rootName: string, content: XmlObject];
  /** Name of the operation that deletes it, where there is one. */
  readonly deleteName?: string;
}

const configurations: readonly Configuration[] = [
  { name: 'BucketPolicy', selector: 'policy', get: 'NoSuchBucketPolicy', deleteName: 'DeleteBucketPolicy' },
  { name: 'BucketCors', selector: 'cors', get: 'NoSuchCORSConfiguration', deleteName: 'DeleteBucketCors' },
  {
    name: 'BucketLifecycleConfiguration',
    selector: 'lifecycle',
    get: 'NoSuchLifecycleConfiguration',
    deleteName: 'DeleteBucketLifecycle',
  },
  { name: 'BucketTagging', selector: 'tagging', get: 'NoSuchTagSet', deleteName: 'DeleteBucketTagging' },
  {
    name: 'BucketEncryption',
    selector: 'encryption',
    get: 'ServerSideEncryptionConfigurationNotFoundError',
    deleteName: 'DeleteBucketEncryption',
  },
  {
    name: 'ObjectLockConfiguration',
    selector: 'object-lock',
    get: 'ObjectLockConfigurationNotFoundError',
  },
  {
    name: 'BucketWebsite',
    selector: 'website',
    get: 'NoSuchWebsiteConfiguration',
    deleteName: 'DeleteBucketWebsite',
  },
  {
    name: 'BucketReplication',
    selector: 'replication',
    get: 'ReplicationConfigurationNotFoundError',
    deleteName: 'DeleteBucketReplication',
  },
  {
    name: 'PublicAccessBlock',
    selector: 'publicAccessBlock',
    get: 'NoSuchPublicAccessBlockConfiguration',
    deleteName: 'DeletePublicAccessBlock',
  },
  {
    name: 'BucketOwnershipControls',
    selector: 'ownershipControls',
    get: ['OwnershipControls', { Rule: { ObjectOwnership: 'BucketOwnerEnforced' } }],
    deleteName: 'DeleteBucketOwnershipControls',
  },
  {
    name: 'BucketRequestPayment',
    selector: 'requestPayment',
    get: ['RequestPaymentConfiguration', { Payer: 'BucketOwner' }],
  },
  { name: 'BucketLogging', selector: 'logging', get: ['BucketLoggingStatus', {}] },
  {
    name: 'BucketNotificationConfiguration',
    selector: 'notification',
    get: ['NotificationConfiguration', {}],
  },
  {
    name: 'BucketAccelerateConfiguration',
    selector: 'accelerate',
    get: ['AccelerateConfiguration', {}],
  },
];

/** Settings of which a bucket can have several, by id: the list is empty, a single one is not there. */
const configurationLists = [
  ['Analytics', 'analytics'],
  ['IntelligentTiering', 'intelligent-tiering'],
  ['Inventory', 'inventory'],
  ['Metrics', 'metrics'],
] as const;

const INVENTORY_ROOT = 'ListInventoryConfigurationsResult';

export const bucketConfigurations: readonly Operation[] = [
  ...configurations.flatMap(configurationRows),
  ...configurationLists.flatMap(([name, selector]) => listRows(name, selector)),
  read('GetBucketPolicyStatus', 'policyStatus', () => {
    throw new HoldfastError('NoSuchBucketPolicy');
  }),
];

function configurationRows({ name, selector, get, deleteName }: Configuration): Operation[] {
  const selectors = { [selector]: true } as const;
  const rows = [
    read(`Get${name}`, selector, ({ bucket }) => {
      if (typeof get !== 'string') return xmlText(buildXml(get[0], get[1]));
      throw new HoldfastError(get, { fields: { BucketName: bucket } });
    }),
    absent(`Put${name}`, 'PUT', 'bucket', selectors),
  ];
  if (deleteName) rows.push(absent(deleteName, 'DELETE', 'bucket', selectors));
  return rows;
}

function listRows(kind: string, selector: string): Operation[] {
  const name = `Bucket${kind}Configuration`;
  const rootName = kind === 'Inventory' ? INVENTORY_ROOT : `List${name}sResult`;
  const selectors = { [selector]: true } as const;
  return [
    read(`List${name}s`, selector, () => xmlText(buildXml(rootName, { IsTruncated: false }))),
    {
      ...read(`Get${name}`, selector, () => {
        throw new HoldfastError('NoSuchConfiguration');
      }),
      selectors: { [selector]: true, id: true },
    },
    absent(`Put${name}`, 'PUT', 'bucket', selectors),
    absent(`Delete${name}`, 'DELETE', 'bucket', selectors),
  ];
}

/** A read that answers the same for every bucket that exists. */
function read(
  name: string,
  selector: string,
  answer: (context: OperationContext) => OperationResponse,
): Operation {
  return {
    name,
    method: 'GET',
    level: 'bucket',
    selectors: { [selector]: true },
    parameters: ['continuation-token'],
    headers: [],
    async handle(context) {
      await context.objects.headBucket(context.bucket);
      return answer(context);
    },
  };
}
