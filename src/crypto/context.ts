/**
 * Contexts and labels: `label ‖ 0x00 ‖ fixed-width binary fields` (design/keys.md, "Notation"). The widths are fixed so
 * that two different lists of fields never give the same bytes. The suite is the first field of every context.
 */
import { assert } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';

/** Cobblestone-256 contents and wraps, HKDF-Expand-SHA-512 derivations. The only suite there is. */
export const SUITE_COBBLESTONE_256 = 1;

export const ID_BYTES = 16;
export const KEY_BYTES = 32;

/** Nothing is negotiated: a suite that is not known is refused. @throws FormatTooNew */
export function requireSuite(suite: number, what: string): void {
  if (suite === SUITE_COBBLESTONE_256) return;
  throw new HoldfastError('FormatTooNew', {
    detail: `${what} uses cipher suite ${suite}, this version knows ${SUITE_COBBLESTONE_256}`,
  });
}

/** `label` is ASCII without 0x00; `fields` have widths fixed by the label. */
export function buildContext(label: string, ...fields: readonly Uint8Array[]): Buffer {
  let lengthBytes = label.length + 1;
  for (const field of fields) lengthBytes += field.length;
  const context = Buffer.alloc(lengthBytes);
  let at = context.write(label, 'latin1') + 1;
  for (const field of fields) {
    context.set(field, at);
    at += field.length;
  }
  return context;
}

/** A context whose first field is the suite, u16, followed by 16-byte ids. */
export function buildIdContext(label: string, suite: number, ...ids: readonly Uint8Array[]): Buffer {
  const suiteField = Buffer.alloc(2);
  suiteField.writeUInt16BE(suite);
  for (const id of ids) assert(id.length === ID_BYTES, `${label}: an id has ${ID_BYTES} bytes`);
  return buildContext(label, suiteField, ...ids);
}

/** Of the password of a node's namespace, sealed under the credentials key. `nodeUuid`: 32 hex digits. */
export function nodePasswordContext(gridId: Uint8Array, nodeUuid: string): Buffer {
  return buildIdContext('node-password', SUITE_COBBLESTONE_256, gridId, Buffer.from(nodeUuid, 'hex'));
}
