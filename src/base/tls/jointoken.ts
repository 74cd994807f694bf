/**
 * Join tokens as text: what an operator of a node hands to an operator of a gateway, once (design/keys.md, "Transport": enrolled out of
 * band). `hfj1-` and 136 characters of base32 for
 *
 *   fingerprint of the node 48 ‖ secret 32 ‖ the first 5 bytes of SHA-384("holdfast/v1/join-token" ‖ 0x00 ‖ fingerprint ‖ secret)
 *
 * The fingerprint tells the gateway whom to pin before it shows the secret to anybody; the check catches what was cut off or mistyped.
 */
import { createHash } from 'node:crypto';
import { decodeBase32, encodeBase32 } from '../base32.ts';
import { HoldfastError } from '../errors.ts';
import { FINGERPRINT_BYTES } from './fingerprint.ts';

export const JOIN_SECRET_BYTES = 32;
const PREFIX = 'hfj1-';
const LABEL = 'holdfast/v1/join-token';
const CHECK_BYTES = 5;
const TOKEN_BYTES = FINGERPRINT_BYTES + JOIN_SECRET_BYTES + CHECK_BYTES;

export interface JoinToken {
  /** Of the node that made it. */
  readonly fingerprint: Buffer;
  readonly secret: Buffer;
}

export function encodeJoinToken({ fingerprint, secret }: JoinToken): string {
  const body = Buffer.concat([fingerprint, secret]);
  return PREFIX + encodeBase32(Buffer.concat([body, checkOf(body)]));
}

/** Case and blanks do not matter. @throws InvalidArgument saying what is wrong, without showing the token */
export function parseJoinToken(text: string): JoinToken {
  const compact = text.replaceAll(/\s/g, '').toLowerCase();
  if (!compact.startsWith(PREFIX)) throw invalid(`a join token begins with ${PREFIX}`);
  const bytes = decodeBase32(compact.slice(PREFIX.length));
  if (bytes?.length !== TOKEN_BYTES)
    throw invalid('the join token is cut off or has characters that it cannot have');
  const body = bytes.subarray(0, TOKEN_BYTES - CHECK_BYTES);
  if (!checkOf(body).equals(bytes.subarray(body.length))) throw invalid('the join token has a typing error');
  return {
    fingerprint: body.subarray(0, FINGERPRINT_BYTES),
    secret: body.subarray(FINGERPRINT_BYTES),
  };
}

/** What a node keeps of a secret: SHA-384("holdfast/v1/join-token" ‖ 0x00 ‖ secret). The secret is random, so no salt is needed. */
export function joinSecretHash(secret: Uint8Array): Buffer {
  return labelled(secret);
}

function checkOf(body: Uint8Array): Buffer {
  return labelled(body).subarray(0, CHECK_BYTES);
}

function labelled(bytes: Uint8Array): Buffer {
  return createHash('sha384').update(LABEL).update(Buffer.of(0)).update(bytes).digest();
}

function invalid(detail: string): HoldfastError {
  return new HoldfastError('InvalidArgument', { detail });
}
