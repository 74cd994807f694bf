/**
 * Takes the aws-chunked framing off a body, in all three forms that S3 clients use:
 * STREAMING-AWS4-HMAC-SHA256-PAYLOAD, the same with -TRAILER, and STREAMING-UNSIGNED-PAYLOAD-TRAILER
 * (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html).
 *
 *     10000;chunk-signature=<64 hex> CRLF <65536 bytes> CRLF … 0;chunk-signature=<64 hex> CRLF
 *     x-amz-checksum-crc32c:sOO8/Q== CRLF x-amz-trailer-signature:<64 hex> CRLF CRLF
 *
 * A push parser over whatever pieces the socket gives. Data leaves as slices of those pieces, before its chunk's
 * signature is known: nothing may be committed until `finish` has returned, and that needs every signature to hold. So
 * a chunk of any size costs no memory.
 *
 * Chunk headers are held to the letter. Trailers are read as clients really send them: minio-go ends trailer lines
 * with a bare LF and puts an empty line before the signature, and the AWS SDK for JavaScript may leave out the last
 * empty line.
 */
import { createHash, hash, type KeyObject, timingSafeEqual } from 'node:crypto';
import { HoldfastError } from '../base/errors.ts';
import { EMPTY_SHA256, type PayloadForm } from './payload.ts';
import { hmacSha256 } from './signingkeys.ts';

/** A chunk header is at most 16 hex digits, `;chunk-signature=`, 64 hex digits and CRLF. */
export const CHUNK_HEADER_BYTES_MAX = 16 + 17 + 64 + 2;
/** All trailer lines together. Three checksums and a signature need less than 512. */
export const TRAILER_BYTES_MAX = 2048;
/** CR and LF that may follow the end of the trailers. */
const TRAILING_NEWLINES_BYTES_MAX = 4;

export interface ChunkSigning {
  readonly key: KeyObject;
  /** YYYYMMDDTHHMMSSZ */
  readonly dateTime: string;
  readonly scope: string;
  /** The request's own signature, 64 hex digits. */
  readonly seedSignature: string;
}

export interface ChunkedOptions {
  readonly form: PayloadForm;
  readonly signing: ChunkSigning;
  /** x-amz-decoded-content-length. */
  readonly decodedLengthBytes: number;
  /** Lower-case names of x-amz-trailer. */
  readonly announcedTrailers: readonly string[];
}

const CR = 0x0d;
const LF = 0x0a;
const SIGNATURE_EXTENSION = 'chunk-signature=';
const TRAILER_SIGNATURE = 'x-amz-trailer-signature';
const hex64 = /^[0-9a-f]{64}$/;
const chunkSize = /^[0-9a-fA-F]{1,16}$/;

type State = 'header' | 'data' | 'dataEnd' | 'trailer' | 'end';

export class ChunkedDecoder {
  /** By lower-case name; complete when `finish` has returned. */
  readonly trailers = new Map<string, string>();
  readonly #options: ChunkedOptions;
  #state: State = 'header';
  /** The unfinished line, or the CRLF after a chunk's data. Bounded by the two limits above. */
  #line = '';
  #trailerBytes = 0;
  #trailingBytes = 0;
  #chunkLeftBytes = 0;
  #decodedBytes = 0;
  #lastChunk = false;
  #hash = createHash('sha256');
  #claimedSignature = '';
  #previousSignature: string;
  #canonicalTrailers = '';
  #trailerSigned = false;

  constructor(options: ChunkedOptions) {
    this.#options = options;
    this.#previousSignature = options.signing.seedSignature;
  }

  /** Decodes `input`; every piece of data goes to `emit` as a slice of it. @throws HoldfastError */
  push(input: Buffer, emit: (data: Buffer) => void): void {
    let at = 0;
    while (at < input.length) {
      if (this.#state === 'data') {
        const end = Math.min(input.length, at + this.#chunkLeftBytes);
        this.#data(input.subarray(at, end), emit);
        at = end;
      } else if (this.#state === 'end') {
        this.#afterEnd(input, at);
        return;
      } else {
        at = this.#takeLine(input, at);
      }
    }
  }

  /** The body has ended. @throws IncompleteBody, MalformedTrailerError */
  finish(): void {
    if (this.#state === 'trailer' && this.#line === '' && this.#trailersComplete()) this.#state = 'end';
    if (this.#state === 'end') return;
    if (this.#state === 'trailer') throw malformedTrailer('it ends before everything announced was sent');
    if (this.#emptyOnTheWire()) return;
    throw new HoldfastError('IncompleteBody', {
      detail: 'The request body ended before its last chunk.',
    });
  }

  /** minio-go sends an object of no bytes without framing; the signed x-amz-decoded-content-length vouches for it. */
  #emptyOnTheWire(): boolean {
    return this.#options.decodedLengthBytes === 0 && this.#state === 'header' && this.#line === '';
  }

  #data(data: Buffer, emit: (data: Buffer) => void): void {
    this.#chunkLeftBytes -= data.length;
    this.#decodedBytes += data.length;
    if (this.#options.form.signedChunks) this.#hash.update(data);
    if (this.#chunkLeftBytes === 0) this.#state = 'dataEnd';
    emit(data);
  }

  /** Reads up to the next LF. Returns the position after what was consumed. */
  #takeLine(input: Buffer, at: number): number {
    const newline = input.indexOf(LF, at);
    const end = newline < 0 ? input.length : newline + 1;
    const lengthMax = this.#state === 'trailer' ? TRAILER_BYTES_MAX : CHUNK_HEADER_BYTES_MAX;
    if (this.#line.length + (end - at) > lengthMax) {
      throw this.#state === 'trailer'
        ? malformedTrailer('a line is too long')
        : badFraming('a chunk header is too long');
    }
    this.#line += input.toString('latin1', at, end);
    if (newline < 0) return end;
    const line = this.#line;
    this.#line = '';
    if (this.#state === 'header') this.#chunkHeader(line);
    else if (this.#state === 'dataEnd') this.#chunkEnd(line);
    else this.#trailerLine(line);
    return end;
  }

  #chunkHeader(line: string): void {
    if (line.charCodeAt(line.length - 2) !== CR) throw badFraming('a chunk header does not end with CRLF');
    const semicolon = line.indexOf(';');
    const size = line.slice(0, semicolon < 0 ? -2 : semicolon);
    const extension = semicolon < 0 ? '' : line.slice(semicolon + 1, -2);
    if (!chunkSize.test(size)) throw badFraming('a chunk size is not a hex number');
    this.#chunkLeftBytes = Number.parseInt(size, 16);
    this.#claimedSignature = this.#readExtension(extension);
    if (this.#chunkLeftBytes > this.#options.decodedLengthBytes - this.#decodedBytes) {
      throw lengthMismatch('more bytes');
    }
    if (this.#chunkLeftBytes > 0) {
      this.#state = 'data';
      return;
    }
    this.#lastChunk = true;
    if (this.#decodedBytes !== this.#options.decodedLengthBytes) throw lengthMismatch('fewer bytes');
    this.#verifyChunk();
    this.#state = this.#options.form.trailer ? 'trailer' : 'dataEnd';
  }

  #readExtension(extension: string): string {
    if (!this.#options.form.signedChunks) {
      if (extension !== '') throw badFraming('an unsigned chunk has an extension');
      return '';
    }
    const signature = extension.slice(SIGNATURE_EXTENSION.length);
    if (!extension.startsWith(SIGNATURE_EXTENSION) || !hex64.test(signature)) {
      throw badFraming('a chunk has no chunk-signature of 64 hex digits');
    }
    return signature;
  }

  #chunkEnd(line: string): void {
    if (line !== '\r\n') throw badFraming('the data of a chunk is not followed by CRLF');
    if (this.#lastChunk) {
      this.#state = 'end';
      return;
    }
    this.#verifyChunk();
    this.#state = 'header';
  }

  #verifyChunk(): void {
    if (!this.#options.form.signedChunks) return;
    const { key, dateTime, scope } = this.#options.signing;
    let digest = EMPTY_SHA256;
    if (!this.#lastChunk) {
      digest = this.#hash.digest('hex');
      this.#hash = createHash('sha256');
    }
    const toSign = `AWS4-HMAC-SHA256-PAYLOAD\n${dateTime}\n${scope}\n${this.#previousSignature}\n${EMPTY_SHA256}\n${digest}`;
    requireSignature(hmacSha256(key, toSign), this.#claimedSignature, 'a chunk');
    this.#previousSignature = this.#claimedSignature;
  }

  #trailerLine(line: string): void {
    this.#trailerBytes += line.length;
    if (this.#trailerBytes > TRAILER_BYTES_MAX) throw malformedTrailer('it is too long');
    const text = line.slice(0, line.charCodeAt(line.length - 2) === CR ? -2 : -1);
    if (text === '') {
      if (this.#trailersComplete()) this.#state = 'end';
      return;
    }
    const colon = text.indexOf(':');
    const name = text.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    const value = text.slice(colon + 1).trim();
    if (name === TRAILER_SIGNATURE) this.#verifyTrailer(value);
    else if (this.#trailerSigned) throw malformedTrailer('something follows its signature');
    else if (!this.#options.announcedTrailers.includes(name) || this.trailers.has(name)) {
      throw malformedTrailer('it has a field that x-amz-trailer does not announce, or has it twice');
    } else {
      this.trailers.set(name, value);
      this.#canonicalTrailers += `${name}:${value}\n`;
    }
  }

  #verifyTrailer(signature: string): void {
    const { form, signing } = this.#options;
    if (!form.signedChunks || this.#trailerSigned) throw malformedTrailer('it has a signature out of place');
    if (!hex64.test(signature)) throw malformedTrailer('its signature is not 64 hex digits');
    const digest = hash('sha256', Buffer.from(this.#canonicalTrailers, 'latin1'), 'hex');
    const toSign = `AWS4-HMAC-SHA256-TRAILER\n${signing.dateTime}\n${signing.scope}\n${this.#previousSignature}\n${digest}`;
    requireSignature(hmacSha256(signing.key, toSign), signature, 'the trailer');
    this.#trailerSigned = true;
  }

  #trailersComplete(): boolean {
    const { form, announcedTrailers } = this.#options;
    return this.trailers.size === announcedTrailers.length && this.#trailerSigned === form.signedChunks;
  }

  #afterEnd(input: Buffer, at: number): void {
    for (let i = at; i < input.length; i++) {
      this.#trailingBytes += 1;
      if ((input[i] !== CR && input[i] !== LF) || this.#trailingBytes > TRAILING_NEWLINES_BYTES_MAX) {
        throw badFraming('there are bytes after its end');
      }
    }
  }
}

function requireSignature(expected: Buffer, claimed: string, what: string): void {
  if (timingSafeEqual(expected, Buffer.from(claimed, 'hex'))) return;
  throw new HoldfastError('SignatureDoesNotMatch', {
    detail: `The signature of ${what} of the request body does not match.`,
  });
}

function badFraming(why: string): HoldfastError {
  return new HoldfastError('InvalidRequest', { detail: `The aws-chunked body is malformed: ${why}.` });
}

function malformedTrailer(why: string): HoldfastError {
  return new HoldfastError('MalformedTrailerError', {
    detail: `The trailer of the aws-chunked body is malformed: ${why}.`,
  });
}

function lengthMismatch(what: string): HoldfastError {
  return new HoldfastError('IncompleteBody', {
    detail: `The chunks hold ${what} than x-amz-decoded-content-length announces.`,
  });
}
