/**
 * How an error looks to an S3 client: AWS's code, status and document
 * (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). Internal codes appear under the AWS code the error table
 * names; what went wrong inside appears in the log, never in an answer.
 */
import { type ErrorCode, errorTable, HoldfastError } from '../base/errors.ts';
import { escapeXml, XML_DECLARATION } from './xml-build.ts';

export interface S3Error {
  readonly code: string;
  readonly message: string;
  readonly httpStatus: number;
  readonly fields: Readonly<Record<string, string>>;
}

const internalError: S3Error = {
  code: 'InternalError',
  message: errorTable.InternalError.message,
  httpStatus: errorTable.InternalError.httpStatus,
  fields: {},
};

export function toS3Error(error: unknown): S3Error {
  if (!(error instanceof HoldfastError)) return internalError;
  const { entry } = error;
  const code = entry.s3 ?? error.code;
  const shown = Object.hasOwn(errorTable, code) ? errorTable[code as ErrorCode] : errorTable.InternalError;
  if (shown.httpStatus === 500) return internalError;
  if (entry.s3 !== undefined)
    return { code, message: entry.message, httpStatus: shown.httpStatus, fields: {} };
  return { code, message: error.message, httpStatus: shown.httpStatus, fields: error.fields };
}

export interface ErrorPlace {
  /** Path as the client wrote it. */
  readonly resource: string;
  readonly requestId: string;
  readonly hostId: string;
}

export function errorDocument(error: S3Error, place: ErrorPlace): string {
  return XML_DECLARATION + errorElement(error, place);
}

/** Without declaration: for answers that began with white space. */
export function errorElement(error: S3Error, place: ErrorPlace): string {
  let fields = '';
  for (const [name, value] of Object.entries(error.fields)) fields += element(name, value);
  return `<Error>${element('Code', error.code)}${element('Message', error.message)}${fields}${element('Resource', place.resource)}${element('RequestId', place.requestId)}${element('HostId', place.hostId)}</Error>`;
}

function element(name: string, value: string): string {
  return `<${name}>${escapeXml(value.toWellFormed())}</${name}>`;
}
