/**
 * The forms a payload can be sent and signed in: the values of `x-amz-content-sha256`
 * (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html). Which form it is decides the
 * framing, not Content-Encoding, which some clients leave out.
 */
import { HoldfastError } from '../base/errors.ts';

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
/** Hex SHA-256 of nothing. */
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export interface PayloadForm {
  /** As in the canonical request. */
  readonly name: string;
  /** aws-chunked framing. */
  readonly framed: boolean;
  /** Every chunk carries a signature. */
  readonly signedChunks: boolean;
  readonly trailer: boolean;
  /** Hex digest of the whole body, where the client signed one. */
  readonly sha256: string | undefined;
}

const form = (name: string, framed: boolean, signedChunks: boolean, trailer: boolean): PayloadForm => ({
  name,
  framed,
  signedChunks,
  trailer,
  sha256: undefined,
});

export const unsignedPayload = form(UNSIGNED_PAYLOAD, false, false, false);

const forms = new Map<string, PayloadForm>(
  [
    unsignedPayload,
    form('STREAMING-AWS4-HMAC-SHA256-PAYLOAD', true, true, false),
    form('STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', true, true, true),
    form('STREAMING-UNSIGNED-PAYLOAD-TRAILER', true, false, true),
  ].map((entry) => [entry.name, entry]),
);

const hexDigest = /^[0-9a-f]{64}$/;
const emptyPayload: PayloadForm = { ...form(EMPTY_SHA256, false, false, false), sha256: EMPTY_SHA256 };

/** @throws NotImplemented for SigV4A streams, InvalidArgument for anything unknown */
export function payloadForm(value: string): PayloadForm {
  if (value === EMPTY_SHA256) return emptyPayload;
  const known = forms.get(value);
  if (known) return known;
  if (hexDigest.test(value)) return { ...form(value, false, false, false), sha256: value };
  if (value.startsWith('STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD')) {
    throw new HoldfastError('NotImplemented', {
      detail: `Signature Version 4A (x-amz-content-sha256: ${value}) is not implemented. Sign with AWS4-HMAC-SHA256.`,
      fields: { Header: 'x-amz-content-sha256' },
    });
  }
  throw new HoldfastError('InvalidArgument', {
    detail: `x-amz-content-sha256 must be ${[...forms.keys()].join(', ')}, or a valid sha256 value.`,
    fields: { ArgumentName: 'x-amz-content-sha256', ArgumentValue: value },
  });
}
