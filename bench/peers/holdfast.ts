/** Holdfast in its default settings: fsync before every answer, encryption, 4 + 2. */
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ServerOptions, startServer } from '../../test/harness/server.ts';
import type { Peer } from './contender.ts';

function peer(name: string, options: () => Promise<ServerOptions>): Peer {
  return {
    name,
    start: async (directory) => {
      const server = await startServer({
        ...(await options()),
        data: join(directory, 'data'),
        flags: ['--log-level', 'warn'],
      });
      const { port, accessKeyId, secretAccessKey } = server;
      return {
        name,
        target: { host: '127.0.0.1', port, accessKeyId, secretAccessKey },
        pid: server.process.pid ?? 0,
        output: server.output,
        stop: async () => {
          await server.stop();
        },
      };
    },
  };
}

/** This checkout. */
export const holdfast = peer('Holdfast', async () => ({}));

/** This checkout without its native kernels. */
export const holdfastPortable = peer('Holdfast, portable', async () => ({
  environment: { HOLDFAST_NATIVE: 'off' },
}));

/** Another checkout, with the flags of node that it asks for. */
export function holdfastBefore(directory: string): Peer {
  const checkout = resolve(directory);
  return peer('Holdfast before', async () => {
    const flags = await import(pathToFileURL(join(checkout, 'src/cli/nodeflags.ts')).href);
    return { checkout, nodeFlags: (flags as { serverNodeFlags: readonly string[] }).serverNodeFlags };
  });
}
