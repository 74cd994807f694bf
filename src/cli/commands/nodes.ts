import { resolve } from 'node:path';
import type { StatusReport } from '../../admin/report.ts';
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
