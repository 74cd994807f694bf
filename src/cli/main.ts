/**
 * The `holdfast` command. One file per command; data goes to stdout, everything else to stderr; exit codes: 0 ok, 1 failed,
 * 2 usage, 3 degraded or partial.
 */
import './threadpool.ts';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { HoldfastError } from '../base/errors.ts';
import { type Setting, settings } from '../config/schema.ts';
import { version } from '../config/version.ts';
import { exitCodes } from './exitcodes.ts';

const NODE_ID_MAX = 0xffff;

function nodeId(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > NODE_ID_MAX)
    throw new InvalidArgumentError('A node id is a number; "holdfast nodes list" shows them.');
  return Number(text);
}

function weight(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1000))
    throw new InvalidArgumentError('A weight is a number above 0 and up to 1000.');
  return value;
}

function collect(value: string, earlier: string[] | undefined): string[] {
  return [...(earlier ?? []), value];
}

/** Flags of the settings that have one, on a command that starts a server. */
function addSettingFlags(command: Command, name: 'serve' | 'node'): Command {
  for (const setting of Object.values(settings) as Setting[]) {
    if (setting.flag === undefined || !(setting.commands ?? ['serve']).includes(name)) continue;
    const byDefault =
      setting.default === undefined || Array.isArray(setting.default) ? '' : ` (default ${setting.default})`;
    const help = `${setting.help}${byDefault}`;
    if (setting.type === 'strings') command.option(`--${setting.flag} <value>`, help, collect);
    else command.option(`--${setting.flag} <value>`, help);
  }
  return command;
}

function build(): Command {
  const program = new Command('holdfast')
    .description('Quantum-safe, erasure-coded object storage that heals itself.')
    .version(version)
    .exitOverride()
    .showHelpAfterError('(see holdfast --help)');

  const serve = program
    .command('serve')
    .description('serve S3, with an embedded grid of nodes unless the configuration says otherwise')
    .option('--config <file>', 'configuration file (TOML)');
  addSettingFlags(serve, 'serve').action(async (_options, command: Command) => {
    const { serveCommand } = await import('./commands/serve.ts');
    process.exitCode = await serveCommand(flagsByName(command));
  });

  const node = program
    .command('node')
    .description('run a 3Node: a daemon that keeps fragments for gateways, and speaks the 0-db protocol')
    .option('--join-token', 'print a token with which one more gateway can join')
    .option('--config <file>', 'configuration file (TOML)');
  addSettingFlags(node, 'node').action(async (_options, command: Command) => {
    const { nodeCommand } = await import('./commands/node.ts');
    process.exitCode = await nodeCommand(flagsByName(command));
  });

  const online = (command: Command) =>
    command
      .option('--data <directory>', 'data directory of the running server (default ./holdfast-data)')
      .option('--json', 'print JSON');

  online(program.command('status'))
    .description('nodes, objects, stripes, healing, capacity, and what this grid survives')
    .option('--watch', 'refresh every second until interrupted')
    .action(async (options) => {
      const { statusCommand } = await import('./commands/status.ts');
      process.exitCode = await statusCommand(options);
    });

  online(program.command('scrub'))
    .description('verify every fragment now and rebuild what is wrong')
    .option('--dry-run', 'report only, repair nothing')
    .option('--delete-orphans', 'delete fragments that no record knows, however many they are')
    .action(async (options) => {
      const { scrubCommand } = await import('./commands/scrub.ts');
      process.exitCode = await scrubCommand(options);
    });

  const buckets = program.command('buckets').description('list buckets and change their settings');
  online(buckets.command('list'))
    .description('the buckets, what is in them, and how they are set')
    .action(async (options) => {
      const { bucketsListCommand } = await import('./commands/buckets.ts');
      process.exitCode = await bucketsListCommand(options);
    });
  online(buckets.command('set'))
    .argument('<name>', 'the bucket')
    .description('change a setting of a bucket, for what is written to it from now on')
    .addOption(
      new Option('--etag <kind>', 'ETags: the MD5 of the bytes, or opaque ones, which save computing it')
        .choices(settings['s3.etag'].choices)
        .makeOptionMandatory(),
    )
    .action(async (name: string, options) => {
      const { bucketsSetCommand } = await import('./commands/buckets.ts');
      process.exitCode = await bucketsSetCommand(name, options);
    });

  const nodes = program
    .command('nodes')
    .description('list, show, add, remove, stop, start and replace nodes');
  online(nodes.command('list'))
    .description('the nodes of the grid')
    .action(async (options) => {
      const { nodesListCommand } = await import('./commands/nodes.ts');
      process.exitCode = await nodesListCommand(options);
    });
  online(nodes.command('show'))
    .argument('<id>', 'id of the node, as "holdfast nodes list" shows it', nodeId)
    .description('everything that is known of one node')
    .action(async (id: number, options) => {
      const { nodesShowCommand } = await import('./commands/nodes.ts');
      process.exitCode = await nodesShowCommand(id, options);
    });
  online(nodes.command('add'))
    .argument(
      '<address>',
      'a folder, tls://HOST:PORT or plain://HOST:PORT of a Holdfast node, or zdb://HOST:PORT of a 0-db',
    )
    .description('add a node to the running grid; new data goes there at once')
    .option('--namespace <name>', 'its namespace (default "default")')
    .option('--password-file <file>', 'file with the password of the namespace')
    .option('--join <token>', 'token that a node printed: the node learns to know this gateway')
    .option('--fingerprint <text>', 'of a tls:// node that knows this gateway already')
    .option('--farm <name>', 'who runs it: nodes of one farm are expected to fail together')
    .option('--site <name>', 'where it stands')
    .option('--country <code>', 'and in which country')
    .option('--weight <number>', 'its share of new data relative to what is free (default 1)', weight)
    .option('--accept-non-durable', 'use it although it answers before data is on stable storage')
    .action(async (address: string, options) => {
      const { nodesAddCommand } = await import('./commands/nodes.ts');
      process.exitCode = await nodesAddCommand(address, options);
    });
  online(nodes.command('remove'))
    .argument('<id>', 'id of the node, as "holdfast nodes list" shows it', nodeId)
    .description('give a node up for good; what it had is rebuilt from the others')
    .option('--dry-run', 'only say what it holds')
    .option('--force', 'do it although it holds fragments')
    .action(async (id: number, options) => {
      const { nodesRemoveCommand } = await import('./commands/nodes.ts');
      process.exitCode = await nodesRemoveCommand(id, options);
    });
  for (const verb of ['stop', 'start'] as const) {
    online(nodes.command(verb))
      .argument('<id>', 'id of the node, as "holdfast nodes list" shows it', nodeId)
      .description(verb === 'stop' ? 'close a node; its data stays where it is' : 'open a stopped node again')
      .action(async (id: number, options) => {
        const { nodesSwitchCommand } = await import('./commands/nodes.ts');
        process.exitCode = await nodesSwitchCommand(verb, id, options);
      });
  }
  online(nodes.command('replace'))
    .argument('<id>', 'id of the node, as "holdfast nodes list" shows it', nodeId)
    .description("declare a node's data lost and rebuild it on a new, empty node")
    .option('--path <directory>', 'folder of the new node (default: the old one, when it is empty or gone)')
    .action(async (id: number, options) => {
      const { nodesReplaceCommand } = await import('./commands/nodes.ts');
      process.exitCode = await nodesReplaceCommand(id, options);
    });
  return program;
}

/** Given flags by their name on the command line (`s3-domain`), as src/config expects them. */
function flagsByName(command: Command): Record<string, unknown> {
  const flags: Record<string, unknown> = {};
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (value !== undefined && option.long) flags[option.long.slice(2)] = value;
  }
  return flags;
}

async function main(): Promise<void> {
  try {
    await build().parseAsync(process.argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    } else if (error instanceof HoldfastError) {
      process.stderr.write(`holdfast: ${error.message}\n`);
      process.exitCode = error.code === 'ConfigInvalid' ? exitCodes.usage : exitCodes.failed;
    } else {
      process.stderr.write(`holdfast: ${error instanceof Error ? error.stack : String(error)}\n`);
      process.exitCode = exitCodes.failed;
    }
  }
}

await main();
