/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html: GetObject's headers, read from the metadata
 * alone.
 */

import { objectHeaders, objectStatus } from '../headers-object.ts';
import type { Operation } from '../operation.ts';
import { unlessReplaced } from './support/ifrange.ts';
import { READ_HEADERS, READ_PARAMETERS, readRequest, unlessNotModified } from './support/read.ts';

export const headObject: Operation = {
  name: 'HeadObject',
  method: 'HEAD',
  level: 'object',
  selectors: {},
  parameters: READ_PARAMETERS,
  headers: READ_HEADERS,
  async handle(context) {
    const request = readRequest(context);
    return unlessNotModified(context, request, async () => {
      const head = await unlessReplaced(context, request, (asked) => context.objects.headObject(asked));
      return { status: objectStatus(head), headers: objectHeaders(head, context.query, context.headers) };
    });
  },
};
