/** Holdfast in its default settings: fsync before every answer, encryption, 4 + 2. */
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { startDaemonProcess } from '../../test/harness/daemon.ts';
import { repository, type ServerOptions, startServer } from '../../test/harness/server.ts';
import type { Peer } from './contender.ts';

const DAEMONS = 9;
const FARMS = 3;

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

/** A gateway without nodes of its own over nine daemons of three farms, all on this machine. */
export const holdfastDaemons = (transport: 'plain' | 'tls'): Peer => ({
  name: `Holdfast, ${transport}`,
  start: async (directory) => {
    const daemons = await Promise.all(
      Array.from({ length: DAEMONS }, (_, i) => startDaemonProcess(join(directory, `node-${i + 1}`))),
    );
    const server = await startServer({
      data: join(directory, 'gateway'),
      flags: ['--log-level', 'warn'],
      environment: { HOLDFAST_GRID_NODES: '0' },
    });
    for (const [i, daemon] of daemons.entries()) {
      const where =
        transport === 'tls'
          ? [`tls://127.0.0.1:${daemon.tlsPort}`, '--join', daemon.joinToken() ?? '']
          : [`plain://127.0.0.1:${daemon.port}`];
      const command = ['nodes', 'add', ...where, '--farm', `farm ${i % FARMS}`];
      execFileSync(process.execPath, [
        join(repository, 'src/cli/main.ts'),
        ...command,
        '--data',
        server.data,
      ]);
    }
    const { port, accessKeyId, secretAccessKey } = server;
    return {
      name: `Holdfast, ${transport}`,
      target: { host: '127.0.0.1', port, accessKeyId, secretAccessKey },
      pid: server.process.pid ?? 0,
      helpers: daemons.map((daemon) => daemon.process.pid ?? 0),
      output: server.output,
      stop: async () => {
        await server.stop();
        await Promise.all(daemons.map((daemon) => daemon.stop()));
      },
    };
  },
});
