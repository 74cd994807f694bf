/** Stores for nodes that are reached over the network. They connect when they are first asked something. */
import type { SecureContext } from 'node:tls';
import { HoldfastError } from '../../base/errors.ts';
import { Bulk, RespFailure, SimpleString } from '../../base/resp/values.ts';
import { dialTls } from '../../base/tls/dial.ts';
import { TRANSPORT_GROUP } from '../../base/tls/options.ts';
import { namespaceOfGrid } from '../../node/pins.ts';
import { Channel } from './channel.ts';
import { dialPlain } from './dial.ts';
import { HoldfastNode, type RemoteSeams } from './holdfastnode.ts';
import type { NodeTarget, RemoteStore } from './target.ts';
import { ZdbNode } from './zdbnode.ts';

/** TLS with a node that has proven this identity. */
export interface SecureTarget {
  readonly host: string;
  readonly port: number;
  /** From clientContext: who we are. */
  readonly context: SecureContext;
  /** 48 bytes. */
  readonly fingerprint: Buffer;
}

export function connectNode(
  where: Pick<NodeTarget, 'kind' | 'host' | 'port' | 'namespace' | 'password'>,
  seams: RemoteSeams,
): RemoteStore {
  const dial = dialPlain(where.host, where.port);
  const target: NodeTarget = { ...where, transport: 'plain', dial, isSelected: false };
  return target.kind === 'zdb' ? new ZdbNode(target, seams) : new HoldfastNode(target, seams);
}

export function connectSecurely(to: SecureTarget, namespace: string, seams: RemoteSeams): RemoteStore {
  const { host, port } = to;
  const dial: NodeTarget['dial'] = async (signal) => (await dialTls(to, signal)).socket;
  return new HoldfastNode(
    {
      ...{ kind: 'holdfast', host, port, namespace, dial, isSelected: true },
      password: Buffer.alloc(0),
      transport: `tls ${TRANSPORT_GROUP}`,
    },
    seams,
  );
}

/**
 * First contact: shows a join token to the node that it is for. Resolves to the namespace that the node keeps for the grid.
 * @throws JoinRefused saying why, NodeUnavailable, IdentityMismatch
 */
export async function joinNode(
  to: SecureTarget,
  token: string,
  gridId: Uint8Array,
  { clock }: RemoteSeams,
): Promise<string> {
  const { socket } = await dialTls(to);
  const channel = new Channel(socket, clock, `${to.host}:${to.port}`, () => undefined);
  try {
    const reply = await channel.ask('JOIN', token, gridId);
    // It knows us already, and serves us as it does every day.
    if (reply instanceof RespFailure && reply.text === 'Command not supported')
      return namespaceOfGrid(gridId);
    if (reply instanceof RespFailure) {
      const text = reply.text.replace(/^[A-Za-z]+ /, '');
      throw new HoldfastError('JoinRefused', { detail: `node at ${to.host}:${to.port}: ${text}` });
    }
    const [status, namespace] = Array.isArray(reply) ? reply : [];
    if (status instanceof SimpleString && namespace instanceof Bulk) return namespace.toString();
    throw new HoldfastError('NodeUnavailable', {
      detail: `node at ${to.host}:${to.port} answered JOIN with something that nobody can read`,
    });
  } finally {
    channel.end('it is not used any more');
  }
}
