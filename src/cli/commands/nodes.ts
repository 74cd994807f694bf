import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { NodeToAdd, StatusReport } from '../../admin/report.ts';
import { HoldfastError } from '../../base/errors.ts';
import { callServer, type OnlineOptions } from '../controlclient.ts';
import { exitCodes } from '../exitcodes.ts';
import { renderNodes } from '../render/status.ts';

export async function nodesListCommand(options: OnlineOptions): Promise<number> {
  const { nodes } = await callServer<StatusReport>(options, 'GET', '/status');
  const colour = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
  const text = options.json ? JSON.stringify(nodes, null, 2) : renderNodes(nodes, { colour }).join('\n');
  process.stdout.write(`${text}\n`);
  return nodes.every((node) => node.state === 'online') ? exitCodes.ok : exitCodes.degraded;
}

/** Everything that is known of one node. */
export async function nodesShowCommand(id: number, options: OnlineOptions): Promise<number> {
  const { nodes } = await callServer<StatusReport>(options, 'GET', '/status');
  const node = nodes.find((one) => one.id === id);
  if (node === undefined) {
    throw new HoldfastError('InvalidArgument', {
      detail: `there is no node ${id}; holdfast nodes list shows them`,
    });
  }
  const lines = Object.entries(node).map(
    ([name, value]) => `${name.padEnd(16)}${value === '' ? '-' : value}`,
  );
  process.stdout.write(`${options.json ? JSON.stringify(node, null, 2) : lines.join('\n')}\n`);
  return node.state === 'online' ? exitCodes.ok : exitCodes.degraded;
}

export interface AddOptions extends OnlineOptions {
  readonly namespace?: string;
  readonly passwordFile?: string;
  readonly farm?: string;
  readonly site?: string;
  readonly country?: string;
  readonly weight?: number;
  readonly acceptNonDurable?: boolean;
  readonly join?: string;
  readonly fingerprint?: string;
}

export async function nodesAddCommand(address: string, options: AddOptions): Promise<number> {
  const { namespace, passwordFile, farm, site, country, weight, acceptNonDurable, join, fingerprint } =
    options;
  const where = address.includes('://') ? address : resolve(address);
  const password = passwordFile === undefined ? undefined : readPassword(passwordFile);
  const node: NodeToAdd = {
    address: where,
    ...(namespace === undefined ? {} : { namespace }),
    ...(password === undefined ? {} : { password }),
    ...(farm === undefined ? {} : { farm }),
    ...(site === undefined ? {} : { site }),
    ...(country === undefined ? {} : { country }),
    ...(weight === undefined ? {} : { weight }),
    ...(acceptNonDurable === undefined ? {} : { acceptNonDurable }),
    ...(join === undefined ? {} : { join }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  };
  const added = await callServer<{ id: number; address: string }>(options, 'POST', '/nodes', node);
  const text = `node ${added.id} at ${added.address} is in the grid`;
  process.stdout.write(`${options.json ? JSON.stringify(added) : text}\n`);
  return exitCodes.ok;
}

/** The first line of the file. */
function readPassword(path: string): string {
  try {
    return readFileSync(path, 'latin1').split(/\r?\n/, 1)[0] ?? '';
  } catch (cause) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `--password-file ${path} cannot be read (${(cause as Error).message})`,
      cause,
    });
  }
}

export async function nodesRemoveCommand(
  id: number,
  options: OnlineOptions & { readonly dryRun?: boolean; readonly force?: boolean },
): Promise<number> {
  const { nodes } = await callServer<StatusReport>(options, 'GET', '/status');
  const node = nodes.find((one) => one.id === id);
  const held = { id, fragments: node?.fragments ?? 0, bytes: node?.usedBytes ?? 0 };
  const what = `node ${id} holds ${held.fragments} fragments (${held.bytes} bytes)`;
  if (options.dryRun === true) {
    const text = `${what}, which would be rebuilt on other nodes`;
    process.stdout.write(`${options.json ? JSON.stringify({ ...held, dryRun: true }) : text}\n`);
    return exitCodes.ok;
  }
  if (held.fragments > 0 && options.force !== true) {
    throw new HoldfastError('InvalidArgument', {
      detail: `${what}; with --force it is given up, and they are rebuilt from the others`,
    });
  }
  await callServer(options, 'DELETE', `/nodes/${id}`, {});
  process.stdout.write(
    options.json ? `${JSON.stringify({ ...held, removed: true })}\n` : `node ${id} is out of the grid\n`,
  );
  return exitCodes.ok;
}

export async function nodesSwitchCommand(
  verb: 'stop' | 'start',
  id: number,
  options: OnlineOptions,
): Promise<number> {
  await callServer(options, 'POST', `/nodes/${id}/${verb}`, {});
  const done = verb === 'stop' ? 'stopped' : 'started';
  process.stdout.write(options.json ? `${JSON.stringify({ id, [done]: true })}\n` : `node ${id} ${done}\n`);
  return exitCodes.ok;
}

export async function nodesReplaceCommand(
  id: number,
  options: OnlineOptions & { readonly path?: string },
): Promise<number> {
  const body = options.path === undefined ? {} : { path: resolve(options.path) };
  const result = await callServer<{ id: number; path: string }>(
    options,
    'POST',
    `/nodes/${id}/replace`,
    body,
  );
  const text = `node ${id} is lost; node ${result.id} in ${result.path} takes its place and is being filled`;
  process.stdout.write(`${options.json ? JSON.stringify(result) : text}\n`);
  return exitCodes.ok;
}
