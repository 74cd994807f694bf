/**
 * Whom a node serves over TLS: `pins.json` in its data directory, mode 0600, replaced as a whole and durably.
 *
 *   { "product": "holdfast", "kind": "pins", "format": 1, "grids": [ { "gridId": …16, "namespace": "grid-…",
 *     "gateways": [ { "fingerprint": …48, "pinnedAt": ms, "tokenHash": …48 or null } ], "recovery": …48 or null } ] }
 *
 * Every grid has a namespace of its own. `recovery` is the identity that the grid's recovery words lead to, and may connect as well
 * (design/keys.md, "Hierarchy"). `tokenHash` names the join token that a gateway came with, so that no token is used twice.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeDocument, hexField, invalidFile, parseDocument } from '../base/document.ts';
import { writeFileDurably } from '../base/durablefile.ts';
import { HoldfastError } from '../base/errors.ts';
import { Gate } from '../base/limits.ts';
import { FINGERPRINT_BYTES, shortFingerprint } from '../base/tls/fingerprint.ts';

export const PINS_FILE = 'pins.json';
export const GRID_ID_BYTES = 16;
const KIND = 'pins';
const FORMAT = 1;
const MODE = 0o600;
const GRIDS_MAX = 1024;
const GATEWAYS_PER_GRID_MAX = 16;
const CHANGES_WAITING_MAX = 64;

export interface GatewayPin {
  /** 48 bytes. */
  readonly fingerprint: Buffer;
  readonly pinnedAtMs: number;
  /** joinSecretHash in hex; undefined when it was pinned by hand. */
  readonly tokenHash: string | undefined;
}

export interface GridPin {
  readonly gridId: Buffer;
  /** Name of its namespace on this node. */
  readonly namespace: string;
  readonly gateways: readonly GatewayPin[];
  readonly recovery: Buffer | undefined;
}

/** As whom a peer is served. */
export interface Admission {
  readonly grid: GridPin;
  readonly role: 'gateway' | 'recovery';
}

export interface NewPin {
  readonly gridId: Buffer;
  readonly gateway: GatewayPin;
  readonly recovery: Buffer | undefined;
}

export function namespaceOfGrid(gridId: Uint8Array): string {
  return `grid-${Buffer.from(gridId).toString('hex')}`;
}

export class Pins {
  readonly #path: string;
  #grids: ReadonlyMap<string, GridPin>;
  #admissions: ReadonlyMap<string, Admission>;
  readonly #turn = new Gate('changes of pins', 1, CHANGES_WAITING_MAX);

  /** Use openPins. */
  constructor(path: string, grids: readonly GridPin[]) {
    this.#path = path;
    this.#grids = new Map(grids.map((grid) => [grid.gridId.toString('hex'), grid]));
    this.#admissions = admissionsOf(grids);
  }

  get grids(): readonly GridPin[] {
    return [...this.#grids.values()];
  }

  gridOf(gridId: Buffer): GridPin | undefined {
    return this.#grids.get(gridId.toString('hex'));
  }

  /** Undefined for a stranger. */
  admission(fingerprint: Buffer): Admission | undefined {
    return this.#admissions.get(fingerprint.toString('hex'));
  }

  /** Whether a gateway came with this token; the hash in hex. */
  isTokenUsed(tokenHash: string): boolean {
    return this.grids.some(({ gateways }) => gateways.some((gateway) => gateway.tokenHash === tokenHash));
  }

  /**
   * Pins a gateway, and the grid with it when it is new; durable when it resolves. Nothing changes when it fails.
   * @throws InvalidRequest saying what stands against it
   */
  pin({ gridId, gateway, recovery }: NewPin): Promise<GridPin> {
    return this.#change(gridId, (grid) => {
      this.#assertFree(gateway.fingerprint);
      if (grid && grid.gateways.length >= GATEWAYS_PER_GRID_MAX) {
        throw refusal(
          `grid ${gridId.toString('hex')} has ${GATEWAYS_PER_GRID_MAX} gateways, and more are not pinned`,
        );
      }
      if (!grid && this.#grids.size >= GRIDS_MAX)
        throw refusal(`${GRIDS_MAX} grids are pinned, and more are not`);
      const gateways = [...(grid?.gateways ?? []), gateway];
      const namespace = grid?.namespace ?? namespaceOfGrid(gridId);
      return { gridId, namespace, gateways, recovery: this.#recoveryOf(grid, recovery) };
    });
  }

  /** Pins the recovery identity of a grid that has none yet, or the same. @throws InvalidRequest */
  setRecovery(gridId: Buffer, recovery: Buffer): Promise<GridPin> {
    return this.#change(gridId, (grid) => {
      if (!grid) throw refusal(`grid ${gridId.toString('hex')} is not pinned`);
      return { ...grid, recovery: this.#recoveryOf(grid, recovery) };
    });
  }

  /** Takes a gateway's pin away; its grid stays, with its namespace. @throws InvalidRequest when it is not pinned */
  unpin(fingerprint: Buffer): Promise<GridPin> {
    const found = this.admission(fingerprint);
    return this.#change(found?.grid.gridId ?? Buffer.alloc(GRID_ID_BYTES), (grid) => {
      const gateways = grid?.gateways.filter((gateway) => !gateway.fingerprint.equals(fingerprint));
      if (!grid || !gateways || gateways.length === grid.gateways.length) {
        throw refusal(`no gateway with the identity ${shortFingerprint(fingerprint)} is pinned`);
      }
      return { ...grid, gateways };
    });
  }

  #recoveryOf(grid: GridPin | undefined, recovery: Buffer | undefined): Buffer | undefined {
    if (recovery === undefined || grid?.recovery?.equals(recovery)) return grid?.recovery;
    if (grid?.recovery) throw refusal('the grid has another recovery identity, which cannot be replaced');
    this.#assertFree(recovery);
    return recovery;
  }

  #assertFree(fingerprint: Buffer): void {
    if (!this.#admissions.has(fingerprint.toString('hex'))) return;
    throw refusal(`the identity ${shortFingerprint(fingerprint)} is pinned already`);
  }

  async #change(gridId: Buffer, make: (grid: GridPin | undefined) => GridPin): Promise<GridPin> {
    await this.#turn.acquire();
    try {
      const changed = make(this.gridOf(gridId));
      const grids = new Map(this.#grids).set(gridId.toString('hex'), changed);
      const admissions = admissionsOf([...grids.values()]);
      await writeFileDurably(this.#path, encode([...grids.values()]), MODE);
      this.#grids = grids;
      this.#admissions = admissions;
      return changed;
    } finally {
      this.#turn.release();
    }
  }
}

/** Those of a data directory; none when there is no file. @throws DataDirectoryInvalid naming the field, FormatTooNew */
export async function openPins(directory: string): Promise<Pins> {
  const path = join(directory, PINS_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return new Pins(path, []);
    throw invalidFile(path, `cannot be read (${(cause as Error).message})`, cause);
  }
  const { grids } = parseDocument(text, path, KIND, FORMAT);
  return new Pins(
    path,
    list(grids, GRIDS_MAX, 'grids', path).map((grid) => parseGrid(grid, path)),
  );
}

function admissionsOf(grids: readonly GridPin[]): ReadonlyMap<string, Admission> {
  const admissions = new Map<string, Admission>();
  for (const grid of grids) {
    for (const { fingerprint } of grid.gateways) {
      admissions.set(fingerprint.toString('hex'), { grid, role: 'gateway' });
    }
    if (grid.recovery) admissions.set(grid.recovery.toString('hex'), { grid, role: 'recovery' });
  }
  return admissions;
}

function encode(grids: readonly GridPin[]): string {
  return encodeDocument(KIND, FORMAT, {
    grids: grids.map(({ gridId, namespace, gateways, recovery }) => ({
      gridId: gridId.toString('hex'),
      namespace,
      gateways: gateways.map(({ fingerprint, pinnedAtMs, tokenHash }) => ({
        fingerprint: fingerprint.toString('hex'),
        pinnedAt: pinnedAtMs,
        tokenHash: tokenHash ?? null,
      })),
      recovery: recovery?.toString('hex') ?? null,
    })),
  });
}

function parseGrid(value: unknown, path: string): GridPin {
  const { gridId, namespace, gateways, recovery } = Object(value);
  const id = hexField(gridId, GRID_ID_BYTES, 'gridId', path);
  if (namespace !== namespaceOfGrid(id)) throw invalidFile(path, '"namespace" is not that of its grid');
  return {
    gridId: id,
    namespace,
    gateways: list(gateways, GATEWAYS_PER_GRID_MAX, 'gateways', path).map((gateway) =>
      parseGateway(gateway, path),
    ),
    recovery: recovery === null ? undefined : hexField(recovery, FINGERPRINT_BYTES, 'recovery', path),
  };
}

function parseGateway(value: unknown, path: string): GatewayPin {
  const { fingerprint, pinnedAt, tokenHash } = Object(value);
  if (!Number.isSafeInteger(pinnedAt)) throw invalidFile(path, '"pinnedAt" is not a time in milliseconds');
  return {
    fingerprint: hexField(fingerprint, FINGERPRINT_BYTES, 'fingerprint', path),
    pinnedAtMs: pinnedAt,
    tokenHash:
      tokenHash === null
        ? undefined
        : hexField(tokenHash, FINGERPRINT_BYTES, 'tokenHash', path).toString('hex'),
  };
}

function list(value: unknown, max: number, name: string, path: string): readonly unknown[] {
  if (Array.isArray(value) && value.length <= max) return value;
  throw invalidFile(path, `"${name}" is not a list of at most ${max}`);
}

function refusal(detail: string): HoldfastError {
  return new HoldfastError('InvalidRequest', { detail });
}
