/**
 * First contact: a gateway that no pin knows shows a join token over TLS, once, and is pinned with its grid. The token says which node it
 * is for, so a gateway has pinned the node before it shows the secret; the node keeps only a hash of it (jointokens.ts).
 *
 * A grid that is pinned already gets a further gateway only by a token that was made for this grid: whoever holds a token for a grid of
 * their own must not get into somebody else's namespace by naming that one.
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import { Gate } from '../base/limits.ts';
import { FINGERPRINT_BYTES, shortFingerprint } from '../base/tls/fingerprint.ts';
import { type JoinToken, joinSecretHash, parseJoinToken } from '../base/tls/jointoken.ts';
import { FailureLimit } from './failurelimit.ts';
import { type OpenToken, readJoinTokens, removeJoinToken } from './jointokens.ts';
import { GRID_ID_BYTES, type GridPin, namespaceOfGrid, type Pins } from './pins.ts';

const JOINS_WAITING_MAX = 16;

export interface JoinRequest {
  /** As it was given, encodeJoinToken's text. */
  readonly token: string;
  /** 16 bytes. */
  readonly gridId: Buffer;
  /** Of the TLS peer itself, never from a message: 48 bytes. */
  readonly gatewayFingerprint: Buffer;
  /** 48 bytes, or none yet. */
  readonly recoveryFingerprint: Buffer | undefined;
  /** Where the peer is, without its port: what wrong tokens are counted by. */
  readonly source: string;
}

export interface JoinParts {
  /** The data directory of the node. */
  readonly directory: string;
  /** Of the node. */
  readonly fingerprint: Buffer;
  readonly pins: Pins;
  readonly clock: Clock;
  /** Makes the namespace of a grid, durably, or finds it; before the grid is pinned. */
  readonly prepare: (namespace: string) => Promise<void>;
}

export class JoinDesk {
  readonly #parts: JoinParts;
  readonly #turn = new Gate('joins', 1, JOINS_WAITING_MAX);
  readonly #failures: FailureLimit;

  constructor(parts: JoinParts) {
    this.#parts = parts;
    this.#failures = new FailureLimit(parts.clock);
  }

  /** Whether a stranger has anything to ask for: a token is open. */
  async isOpen(): Promise<boolean> {
    const nowMs = this.#parts.clock.nowMs();
    return (await readJoinTokens(this.#parts.directory)).some(({ expiresAtMs }) => expiresAtMs > nowMs);
  }

  /**
   * Pins the gateway; durable when it resolves. The same gateway may ask again with the token that pinned it, since a reply can be lost.
   * @throws JoinRefused saying why, SlowDown after too many wrong tokens, InvalidArgument for fields of another length
   */
  async join(request: JoinRequest): Promise<GridPin> {
    assertLengths(request);
    this.#failures.assertBelow(request.source);
    await this.#turn.acquire();
    try {
      return await this.#join(request);
    } catch (error) {
      if (hasCode(error, 'JoinRefused')) this.#failures.count(request.source);
      throw error;
    } finally {
      this.#turn.release();
    }
  }

  async #join({ token, gridId, gatewayFingerprint, recoveryFingerprint }: JoinRequest): Promise<GridPin> {
    const { directory, pins, clock, prepare } = this.#parts;
    const tokenHash = joinSecretHash(this.#parsed(token).secret).toString('hex');
    if (pins.isTokenUsed(tokenHash)) {
      await removeJoinToken(directory, tokenHash);
      return this.#again(tokenHash, gridId, gatewayFingerprint);
    }
    const open = (await readJoinTokens(directory)).find(({ hash }) => hash === tokenHash);
    this.#assertUsable(open, gridId);
    await prepare(namespaceOfGrid(gridId));
    const gateway = { fingerprint: gatewayFingerprint, pinnedAtMs: clock.nowMs(), tokenHash };
    const pinned = await asRefusal(pins.pin({ gridId, gateway, recovery: recoveryFingerprint }));
    await removeJoinToken(directory, tokenHash);
    return pinned;
  }

  #parsed(text: string): JoinToken {
    let token: JoinToken;
    try {
      token = parseJoinToken(text);
    } catch (error) {
      throw refused((error as Error).message);
    }
    if (token.fingerprint.equals(this.#parts.fingerprint)) return token;
    const [wanted, own] = [token.fingerprint, this.#parts.fingerprint].map(shortFingerprint);
    throw refused(`the join token is for node ${wanted}, and this is ${own}`);
  }

  /** The token was used: by this gateway, for this grid, or it is a replay. */
  #again(tokenHash: string, gridId: Buffer, fingerprint: Buffer): GridPin {
    const grid = this.#parts.pins.gridOf(gridId);
    const own = grid?.gateways.find((gateway) => gateway.fingerprint.equals(fingerprint));
    if (grid && own?.tokenHash === tokenHash) return grid;
    throw refused('the join token has been used');
  }

  #assertUsable(open: OpenToken | undefined, gridId: Buffer): void {
    if (!open) throw refused('the join token is not one that this node has open');
    if (open.expiresAtMs <= this.#parts.clock.nowMs()) {
      throw refused(`the join token expired at ${new Date(open.expiresAtMs).toISOString()}`);
    }
    if (open.gridId && !open.gridId.equals(gridId)) {
      throw refused(`the join token is for grid ${open.gridId.toString('hex')}`);
    }
    if (!open.gridId && this.#parts.pins.gridOf(gridId)) {
      throw refused(
        `grid ${gridId.toString('hex')} is pinned already; a further gateway needs a token made for this grid`,
      );
    }
  }
}

function assertLengths({ gridId, gatewayFingerprint, recoveryFingerprint }: JoinRequest): void {
  const fields: [string, Buffer | undefined, number][] = [
    ['grid id', gridId, GRID_ID_BYTES],
    ['fingerprint of the gateway', gatewayFingerprint, FINGERPRINT_BYTES],
    ['fingerprint of the recovery identity', recoveryFingerprint, FINGERPRINT_BYTES],
  ];
  for (const [what, bytes, length] of fields) {
    if (bytes === undefined || bytes.length === length) continue;
    throw new HoldfastError('InvalidArgument', {
      detail: `the ${what} has ${bytes.length} bytes, not ${length}`,
    });
  }
}

async function asRefusal<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw hasCode(error, 'InvalidRequest') ? refused(error.message) : error;
  }
}

function refused(detail: string): HoldfastError {
  return new HoldfastError('JoinRefused', { detail });
}
