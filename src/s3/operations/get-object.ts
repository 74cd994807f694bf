/** docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html */

import { objectHeaders, objectStatus } from '../headers-object.ts';
import type { Operation } from '../operation.ts';
import { unlessReplaced } from './support/ifrange.ts';
import { READ_HEADERS, READ_PARAMETERS, readRequest, unlessNotModified } from './support/read.ts';

export const getObject: Operation = {
  name: 'GetObject',
  method: 'GET',
  level: 'object',
  selectors: {},
  parameters: READ_PARAMETERS,
  headers: READ_HEADERS,
  async handle(context) {
    const request = readRequest(context);
    return unlessNotModified(context, request, async () => {
      const body = await unlessReplaced(context, request, (asked) => context.objects.getObject(asked));
      return {
        status: objectStatus(body),
        headers: objectHeaders(body, context.query, context.headers),
        body,
      };
    });
  },
};
