/**
 * The keys under the grid secret G (design/keys.md, "Hierarchy"). The repair keys are a set of their own: who holds only
 * them can find, verify, heal and audit every fragment and read nothing.
 */
import { KEY_BYTES } from './context.ts';
import { derive, type KeyScope } from './derive.ts';

/** What a repairer holds. Every key has 32 bytes. */
export interface RepairKeys extends KeyScope {
  readonly locator1: Buffer;
  readonly locator2: Buffer;
  readonly fragmentMac: Buffer;
  readonly logStripe: Buffer;
}

export interface GridKeys extends RepairKeys {
  readonly logObject: Buffer;
  readonly credentials: Buffer;
  /** Opens the symmetric copies of epoch keys. */
  readonly epoch: Buffer;
}

export interface GridSecret extends KeyScope {
  /** G: 32 random bytes. */
  readonly gridSecret: Uint8Array;
}

export function deriveGridKeys(secret: GridSecret): GridKeys {
  const scope: KeyScope = { gridId: secret.gridId, generation: secret.generation };
  const key = (label: string) => derive(secret.gridSecret, label, scope, KEY_BYTES);
  return {
    ...scope,
    locator1: key('locator/1'),
    locator2: key('locator/2'),
    fragmentMac: key('fragment-mac'),
    logStripe: key('log/stripe'),
    logObject: key('log/object'),
    credentials: key('credentials'),
    epoch: key('epoch'),
  };
}

/** The subset that may be handed to a repairer. */
export function repairKeysOf(keys: GridKeys): RepairKeys {
  const { gridId, generation, locator1, locator2, fragmentMac, logStripe } = keys;
  return { gridId, generation, locator1, locator2, fragmentMac, logStripe };
}
