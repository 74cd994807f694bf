/**
 * Answers what node's parser refused before there was a request: oversized or malformed headers, two lengths at once,
 * headers that never came. The connection ends with the answer, since nobody can say where the next request begins.
 */
import type { Duplex } from 'node:stream';
import { HoldfastError } from '../base/errors.ts';
import { errorDocument, toS3Error } from './errordocument.ts';

function errorFor(code: string | undefined): HoldfastError {
  if (code === 'HPE_HEADER_OVERFLOW') return new HoldfastError('RequestHeaderSectionTooLarge');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new HoldfastError('RequestTimeout');
  return new HoldfastError('BadRequest', { detail: 'The request is not well-formed HTTP.' });
}

/** `code` is that of node's clientError event. */
export function answerBroken(
  code: string | undefined,
  socket: Duplex,
  requestId: string,
  hostId: string,
): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const error = toS3Error(errorFor(code));
  const body = errorDocument(error, { resource: '/', requestId, hostId });
  const head = [
    'HTTP/1.1 400 Bad Request',
    'Content-Type: application/xml',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `x-amz-request-id: ${requestId}`,
    'Connection: close',
  ].join('\r\n');
  socket.end(`${head}\r\n\r\n${body}`, () => socket.destroy());
}
