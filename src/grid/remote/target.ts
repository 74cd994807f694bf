/** Where a remote node is, and what a store of one can do beyond any other. */
import type { Socket } from 'node:net';
import type { FragmentStore } from '../../node/fragmentstore.ts';
import type { Writer } from '../../node/registers.ts';

export interface NodeTarget {
  /** A daemon of ours, or a 0-db namespace. */
  readonly kind: 'holdfast' | 'zdb';
  readonly host: string;
  readonly port: number;
  readonly namespace: string;
  /** Empty: none. */
  readonly password: Buffer;
  /** The node knows the namespace from the identity that we prove: nothing is selected. */
  readonly isSelected: boolean;
  /** Opens a connection: resolves when bytes can be sent. Rejects with what a person can act on. */
  readonly dial: (signal: AbortSignal) => Promise<Socket>;
  /** For status: `plain`, or the protocol and key exchange of TLS. */
  readonly transport: string;
}

export interface RemoteStore extends FragmentStore {
  /** Every change is made in the name of this writer from now on. */
  useWriter(writer: Writer): void;
  /** Raises the node's register to the writer's token. @throws TokenSuperseded. A 0-db has none, and does nothing. */
  fence(writer: Writer): Promise<void>;
  /** The tokens that the node has seen, as of its last greeting. */
  readonly registers: readonly Writer[];
  readonly transport: string;
  close(): Promise<void>;
}

export function addressText({ host, port }: NodeTarget): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
