/** docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html */
import { HoldfastError } from '../../base/errors.ts';
import type { ChecksumAlgorithm } from '../../metadata/records.ts';
import { ENCRYPTION_HEADERS } from '../headers-attributes.ts';
import { BODY_CHECKSUM_HEADERS, bodyChecksumAlgorithm } from '../headers-checksums.ts';
import { quoteEtag } from '../headers-values.ts';
import type { Operation } from '../operation.ts';
import { checkBodySize, withChecksum } from './support/body.ts';
import { partNumber } from './support/parameters.ts';
import { uploadPointer } from './support/upload.ts';

export const uploadPart: Operation = {
  name: 'UploadPart',
  method: 'PUT',
  level: 'object',
  selectors: { uploadId: true, partNumber: true },
  parameters: [],
  headers: [...BODY_CHECKSUM_HEADERS, 'content-type'],
  async handle(context) {
    const { objects, query, headers } = context;
    const number = partNumber(query);
    const pointer = uploadPointer(context);
    const { checksumAlgorithm } = await objects.describeUpload(pointer);
    const sent = bodyChecksumAlgorithm(headers);
    checkAlgorithm(checksumAlgorithm, sent);
    const body = context.body();
    checkBodySize(body);
    const result = await objects.uploadPart(
      pointer,
      number,
      checksumAlgorithm && !sent ? withChecksum(body, checksumAlgorithm) : body,
    );
    return {
      status: 200,
      headers: {
        etag: quoteEtag(result.etag),
        ...(result.checksum && {
          [`x-amz-checksum-${result.checksum.algorithm.toLowerCase()}`]: result.checksum.value,
        }),
        ...ENCRYPTION_HEADERS,
      },
    };
  },
};

/** The parts of an upload that named an algorithm carry that one or none. @throws InvalidRequest */
function checkAlgorithm(expected: ChecksumAlgorithm | undefined, sent: ChecksumAlgorithm | undefined): void {
  if (!expected || !sent || expected === sent) return;
  throw new HoldfastError('InvalidRequest', {
    detail: `Checksum Type mismatch occurred, expected checksum Type: ${expected.toLowerCase()}, actual checksum Type: ${sent.toLowerCase()}`,
  });
}
