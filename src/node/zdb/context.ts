/** What the sessions of a daemon share, and what each of them remembers. */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { type Bulk, RespFailure, type RespValue, SimpleString } from '../../base/resp/values.ts';
import type { Namespace } from '../namespace.ts';
import type { NodeStore } from '../store.ts';
import type { Waiters } from './waiters.ts';

export interface ZdbContext {
  readonly store: NodeStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Empty: everybody is an administrator, as in 0-db. */
  readonly adminPassword: Buffer;
  readonly waiters: Waiters;
  readonly startedAtMs: number;
  /** An error of ours that no client can be told. */
  readonly onFault: (error: unknown) => void;
  /** Of this software. */
  readonly version: string;
}

/** Of one connection. */
export interface ZdbState {
  namespace: Namespace;
  isAdmin: boolean;
  /** In the namespace that is selected. */
  mayWrite: boolean;
  /** Of the last AUTH SECURE CHALLENGE, in hex. */
  nonce: string | undefined;
}

export type Arguments = readonly Bulk[];
export type Command = (
  context: ZdbContext,
  state: ZdbState,
  args: Arguments,
) => RespValue | Promise<RespValue>;

export const ok = new SimpleString('OK');
export const unexpectedArguments = new RespFailure('Unexpected arguments');
export const permissionDenied = new RespFailure('Permission denied');
export const keyNotFound = new RespFailure('Key not found');

export function failure(text: string): RespFailure {
  return new RespFailure(text);
}
