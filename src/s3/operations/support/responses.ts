/** Shapes of answers that many operations share, and rows for operations that are not there. */

import { notImplemented } from '../../headers-values.ts';
import type { Operation, OperationContext, OperationResponse, S3Identity } from '../../operation.ts';
import { buildXml, type XmlObject } from '../../xml-build.ts';

const XML_TYPE = { 'content-type': 'application/xml' } as const;

export function xmlText(body: string, headers: Readonly<Record<string, string>> = {}): OperationResponse {
  return { status: 200, headers: { ...XML_TYPE, ...headers }, body };
}

export function xmlResponse(
  rootName: string,
  content: XmlObject,
  headers: Readonly<Record<string, string>> = {},
): OperationResponse {
  return xmlText(buildXml(rootName, content), headers);
}

/**
 * For work that may outlast a client's patience. An error rejects; the server renders it, with its own status
 * if it can.
 */
export function deferredXml(
  rootName: string,
  content: Promise<XmlObject>,
  headers: Readonly<Record<string, string>> = {},
): OperationResponse {
  return {
    status: 200,
    headers: { ...XML_TYPE, ...headers },
    deferred: content.then((value) => buildXml(rootName, value)),
  };
}

export const noContent: OperationResponse = { status: 204 };

/** The caller owns everything that it can see. */
export function ownerOf(identity: S3Identity): { ID: string; DisplayName: string } {
  return { ID: identity.ownerId, DisplayName: identity.displayName };
}

/** A row for an operation of S3 that Holdfast does not have: refused by its name. */
export function absent(
  name: string,
  method: Operation['method'],
  level: Operation['level'],
  selectors: Operation['selectors'],
): Operation {
  return {
    name,
    method,
    level,
    selectors,
    parameters: ['id', 'versionId', 'continuation-token', 'select-type'],
    headers: ['content-type', 'x-amz-*'],
    handle: (_context: OperationContext) => Promise.reject(notImplemented(name)),
  };
}
