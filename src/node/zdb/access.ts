/** Who may do what: AUTH and SELECT, in clear or by a hash over a nonce. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Bulk, SimpleString } from '../../base/resp/values.ts';
import { type Command, failure, ok, unexpectedArguments, type ZdbState } from './context.ts';

const NONCE_BYTES = 8;
const HASH_HEX_LENGTH = 40;
const denied = failure('Access denied');
const noChallenge = failure('No CHALLENGE requested, secure authentication not available');

const isWord = (given: Bulk | undefined, word: string) => given?.toString().toUpperCase() === word;

/** In the same time whatever differs. */
function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
  return timingSafeEqual(hash(a), hash(b));
}

/** hex(sha1(nonce ‖ ":" ‖ password)), as 0-db has it. */
function secureHash(nonce: string, password: Buffer): Buffer {
  const bytes = createHash('sha1').update(`${nonce}:`).update(password).digest('hex');
  return Buffer.from(bytes, 'latin1');
}

export const auth: Command = ({ adminPassword, random }, state, args) => {
  if (args.length < 1 || args.length > 2) return unexpectedArguments;
  if (args.length === 2) {
    if (!isWord(args[0], 'SECURE')) return unexpectedArguments;
    if (isWord(args[1], 'CHALLENGE')) {
      state.nonce = random.bytes(NONCE_BYTES).toString('hex');
      return new SimpleString(state.nonce);
    }
    if (adminPassword.length === 0) return failure('Authentication disabled');
    const { nonce } = state;
    if (nonce === undefined) return noChallenge;
    if (args[1]!.length !== HASH_HEX_LENGTH) return failure('Invalid hash length');
    state.nonce = undefined;
    return admit(state, isEqual(args[1]!.toBuffer(), secureHash(nonce, adminPassword)));
  }
  if (adminPassword.length === 0) return failure('Authentication disabled');
  return admit(state, isEqual(args[0]!.toBuffer(), adminPassword));
};

function admit(state: ZdbState, isRight: boolean) {
  if (!isRight) return denied;
  state.isAdmin = true;
  return ok;
}

/** SELECT does not use the nonce up, as observed at 0-db 2.0.7. */
export const select: Command = ({ store }, state, args) => {
  if (args.length < 1 || args.length > 3) return failure('Invalid argument');
  const namespace = store.namespaces.get(args[0]!.toBuffer());
  if (namespace === undefined) return failure('Namespace not found');
  const { password, isPublic } = namespace.settings;
  let mayWrite = true;
  if (password.length > 0) {
    if (args.length === 1) {
      if (!isPublic) return failure('Namespace protected and private');
      mayWrite = false;
    } else if (args.length === 3) {
      if (!isWord(args[1], 'SECURE')) return failure('Invalid argument');
      if (state.nonce === undefined) return noChallenge;
      if (args[2]!.length !== HASH_HEX_LENGTH) return failure('Invalid hash length');
      if (!isEqual(args[2]!.toBuffer(), secureHash(state.nonce, password))) return denied;
    } else if (!isEqual(args[1]!.toBuffer(), password)) return denied;
  }
  state.namespace = namespace;
  state.mayWrite = mayWrite;
  return ok;
};
