/** How a connection begins: the namespace is selected, with its password by a hash over a nonce and never in clear. */
import { createHash } from 'node:crypto';
import { HoldfastError } from '../../base/errors.ts';
import { RespFailure, SimpleString } from '../../base/resp/values.ts';
import type { Channel } from './channel.ts';
import { addressText, type NodeTarget } from './target.ts';

/** @throws NodeUnavailable with what the node says */
export async function selectNamespace(channel: Channel, target: NodeTarget): Promise<void> {
  const name = Buffer.from(target.namespace);
  if (target.password.length === 0) {
    check(target, await channel.ask('SELECT', name));
    return;
  }
  const nonce = await channel.ask('AUTH', 'SECURE', 'CHALLENGE');
  check(target, nonce);
  const hash = createHash('sha1')
    .update(`${(nonce as SimpleString).text}:`)
    .update(target.password)
    .digest('hex');
  check(target, await channel.ask('SELECT', name, 'SECURE', hash));
}

function check(target: NodeTarget, reply: unknown): void {
  if (reply instanceof SimpleString) return;
  const what = reply instanceof RespFailure ? reply.text : 'an answer that nobody can read';
  throw new HoldfastError('NodeUnavailable', {
    detail: `node at ${addressText(target)}, namespace "${target.namespace}": ${what}`,
  });
}
