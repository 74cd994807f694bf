/**
 * Reads how the body of a request is framed: by Content-Length, by Transfer-Encoding: chunked (node takes that off), or
 * by either of them with aws-chunked inside. Anything that two servers could read differently is refused
 * (RFC 9112 section 6.3).
 */
import type { IncomingHttpHeaders } from 'node:http';
import { defined } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import type { BodyClaims } from './checksums.ts';
import { ChunkedDecoder, type ChunkSigning } from './chunked.ts';
import type { PayloadForm } from './payload.ts';

const decimal = /^[0-9]{1,15}$/;

export interface Framing {
  /** Bytes on the wire; undefined with Transfer-Encoding. */
  readonly contentLengthBytes: number | undefined;
  readonly transferChunked: boolean;
}

/** @throws InvalidArgument, NotImplemented for codings other than chunked, BadRequest for both at once */
export function readFraming(headers: IncomingHttpHeaders): Framing {
  const coding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (coding === undefined) {
    return {
      contentLengthBytes: length === undefined ? undefined : readLength(length, 'Content-Length'),
      transferChunked: false,
    };
  }
  if (length !== undefined) {
    throw new HoldfastError('BadRequest', {
      detail: 'Content-Length and Transfer-Encoding are given at once.',
    });
  }
  if (coding.toLowerCase() !== 'chunked') {
    throw new HoldfastError('NotImplemented', {
      detail: 'A Transfer-Encoding other than chunked is not implemented.',
      fields: { Header: 'Transfer-Encoding' },
    });
  }
  return { contentLengthBytes: undefined, transferChunked: true };
}

/** The decoder for aws-chunked framing; undefined without it. @throws MissingContentLength */
export function chunkedDecoder(
  headers: IncomingHttpHeaders,
  form: PayloadForm,
  signing: ChunkSigning | undefined,
  claims: BodyClaims,
): { decoder: ChunkedDecoder; lengthBytes: number } | undefined {
  if (!form.framed) {
    refuseHiddenFraming(headers, form);
    return undefined;
  }
  const announced = headers['x-amz-decoded-content-length'];
  if (typeof announced !== 'string') {
    throw new HoldfastError('MissingContentLength', {
      detail: `You must provide the x-amz-decoded-content-length header with ${form.name}.`,
    });
  }
  const lengthBytes = readLength(announced, 'x-amz-decoded-content-length');
  const { announcedTrailers } = claims;
  return {
    lengthBytes,
    decoder: new ChunkedDecoder({
      form,
      signing: defined(signing),
      announcedTrailers,
      decodedLengthBytes: lengthBytes,
    }),
  };
}

/** Chunk headers in a body that is not announced as a stream would end up inside the object. */
function refuseHiddenFraming(headers: IncomingHttpHeaders, form: PayloadForm): void {
  if (!headers['content-encoding']?.toLowerCase().includes('aws-chunked')) return;
  throw new HoldfastError('InvalidRequest', {
    detail: `Content-Encoding: aws-chunked needs an x-amz-content-sha256 that begins with STREAMING-, not ${form.name}.`,
  });
}

function readLength(text: string, name: string): number {
  if (decimal.test(text)) return Number(text);
  throw new HoldfastError('InvalidArgument', {
    detail: `${name} is not a number of bytes.`,
    fields: { ArgumentName: name, ArgumentValue: text },
  });
}
