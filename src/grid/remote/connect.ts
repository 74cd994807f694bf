/** A store for a node that is reached over the network. It connects when it is first asked something. */
import { dialPlain } from './dial.ts';
import { HoldfastNode, type RemoteSeams } from './holdfastnode.ts';
import type { NodeTarget, RemoteStore } from './target.ts';
import { ZdbNode } from './zdbnode.ts';

export function connectNode(where: Omit<NodeTarget, 'dial' | 'transport'>, seams: RemoteSeams): RemoteStore {
  const target: NodeTarget = { ...where, transport: 'plain', dial: dialPlain(where.host, where.port) };
  return target.kind === 'zdb' ? new ZdbNode(target, seams) : new HoldfastNode(target, seams);
}
