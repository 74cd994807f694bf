/** Addresses of nodes as people write them: a folder, `tls://HOST:PORT`, `plain://HOST:PORT`, `zdb://HOST:PORT`. */
import { HoldfastError } from '../base/errors.ts';
import type { NodeAddress, NodeRecord } from '../metadata/records.ts';

export interface ParsedAddress {
  readonly kind: 'holdfast' | 'zdb';
  readonly transport: NodeAddress['transport'];
  readonly host: string;
  readonly port: number;
}

const schemes = {
  tls: { kind: 'holdfast', transport: 'tls', port: 9910 },
  plain: { kind: 'holdfast', transport: 'plain', port: 9900 },
  zdb: { kind: 'zdb', transport: 'plain', port: 9900 },
} as const;

/** undefined for a folder. @throws InvalidArgument naming what is wrong */
export function parseNodeAddress(text: string): ParsedAddress | undefined {
  const match = /^([a-z]+):\/\/(.*)$/.exec(text);
  if (match === null) return undefined;
  const refuse = (why: string): never => {
    throw new HoldfastError('InvalidArgument', { detail: `"${text}" is no address of a node: ${why}` });
  };
  const [, name, rest] = match;
  const scheme = Object.hasOwn(schemes, name!) ? schemes[name as keyof typeof schemes] : undefined;
  if (scheme === undefined) return refuse(`there are ${Object.keys(schemes).join('://, ')}://`);
  const parts = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:/[\]\s]+))(?::(\d{1,5}))?$/.exec(rest!);
  if (parts === null) return refuse('after the scheme come a host (an IPv6 address in brackets) and a port');
  const port = parts[3] === undefined ? scheme.port : Number(parts[3]);
  if (port === 0 || port > 65_535) return refuse(`there is no port ${port}`);
  return { kind: scheme.kind, transport: scheme.transport, host: parts[1] ?? parts[2]!, port };
}

/** As it was given; undefined for an embedded node. */
export function nodeAddressText({ kind, address }: NodeRecord): string | undefined {
  if (address === undefined) return undefined;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  const scheme = kind === 'zdb' ? 'zdb' : address.transport;
  const namespace =
    address.namespace === 'default' || address.fingerprint !== undefined ? '' : ` (${address.namespace})`;
  return `${scheme}://${host}:${address.port}${namespace}`;
}
