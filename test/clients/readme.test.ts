/**
 * README.md and CONTRIBUTING.md cannot lie: the shell blocks of the README run as they stand, in order and in one shell, inside a clone and
 * against a running server; what the two mention elsewhere (scripts, subcommands, the settings file) exists. Only `npm start` is
 * replaced by a server on free ports; .ci/newcomer starts it for real.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { holdfast, repository, runCommand, startServer, temporaryDirectory } from '../harness/server.ts';
import { has, missing } from './matrix.ts';

const readme = readFileSync(join(repository, 'README.md'), 'utf8');
const contributing = readFileSync(join(repository, 'CONTRIBUTING.md'), 'utf8');
const lacking = missing({
  'a git checkout': existsSync(join(repository, '.git')),
  git: has('git'),
  bash: has('bash'),
  aws: has('aws'),
  rclone: has('rclone', ['version']),
});
const CLONE = 'git clone <this repository>';
const EXIT_DEGRADED = 3;

/** Bodies of the fenced blocks of one language. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, of]) => of === language)
    .map(([, , body]) => body ?? '');
}

/** Runs the lines in one shell and returns what each of them printed. Between a loss and its repair, `holdfast` ends with 3. */
async function paste(lines: readonly string[], directory: string): Promise<Map<string, string>> {
  const marked = lines.map((line, index) => {
    const tolerant = line.startsWith('npx holdfast') ? ` || [ $? = ${EXIT_DEGRADED} ]` : '';
    return `printf '\\n@line ${index}\\n'\n${line}${tolerant}`;
  });
  const file = join(temporaryDirectory(), 'pasted.sh');
  writeFileSync(file, `set -e\nunset $(compgen -v AWS_) $(compgen -v RCLONE_)\n${marked.join('\n')}\n`);
  const { code, stdout, stderr } = await runCommand('bash', [file], { directory });
  if (code !== 0) throw new Error(`ended with ${code}\n${stdout}\n${stderr}`);
  const printed = stdout.split(/\n@line \d+\n/).slice(1);
  return new Map(lines.map((line, index) => [line, printed[index] ?? '']));
}

test.skipIf(lacking !== undefined)(
  `the shell blocks of the README${lacking === undefined ? '' : ` (${lacking})`}`,
  async () => {
    const lines = blocks(readme, 'sh').flatMap((block) => block.split('\n').filter((line) => line !== ''));
    const start = lines.indexOf('npm start');
    expect(lines.slice(0, start)).toEqual([`${CLONE} holdfast && cd holdfast`]);
    const folder = temporaryDirectory();
    const origin = `git clone -q '${repository}'`;
    await paste([(lines[0] ?? '').replace(CLONE, origin)], folder);
    const clone = join(folder, 'holdfast');
    symlinkSync(join(repository, 'node_modules'), join(clone, 'node_modules'));
    mkdirSync(join(clone, 'holdfast-data'));
    const server = await startServer({
      data: join(clone, 'holdfast-data'),
      flags: ['--log-level', 'warn'],
      environment: {
        HOLDFAST_ACCESS_KEY: '',
        HOLDFAST_SECRET_KEY: '',
        MINIO_ROOT_USER: '',
        MINIO_ROOT_PASSWORD: '',
      },
    });
    try {
      const printed = await paste(lines.slice(start + 1), clone);
      const stored = readFileSync(join(clone, 'README.md'), 'utf8');
      expect(printed.get('aws s3 ls --recursive s3://photos')).toContain('notes/readme.md');
      expect(printed.get('aws s3 cp s3://photos/notes/readme.md -')?.trim()).toBe(stored.trim());
      expect(printed.get('npx holdfast status')).toContain('NODE');
      const url = printed.get('aws s3 presign s3://photos/notes/readme.md')?.trim() ?? '';
      expect(await (await fetch(url)).text()).toBe(stored);
    } finally {
      expect(await server.stop()).toBe(0);
    }
    // What running it leaves behind is ignored by git; only this test's link is not.
    expect(execFileSync('git', ['status', '--porcelain'], { cwd: clone, encoding: 'utf8' })).toBe(
      '?? node_modules\n',
    );
  },
);

test('every script that the documents name is there', () => {
  const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const [command, run, short] of (readme + contributing).matchAll(
    /\bnpm (?:run ([\w:]+)|(test|start)\b)/g,
  )) {
    expect(scripts, command).toHaveProperty([run ?? short ?? '']);
  }
});

test('every subcommand that the documents name is there', async () => {
  const named = [
    ...(readme + contributing).matchAll(/(?:npx holdfast|`)\s?(nodes \w+|status|scrub|serve)\b/g),
  ];
  const commands = new Set(named.map(([, command]) => command ?? ''));
  expect(commands).toContain('nodes replace');
  for (const command of commands) {
    const { code, stdout } = await holdfast([...command.split(' '), '--help']);
    expect(code, command).toBe(0);
    expect(stdout).toContain(`holdfast ${command}`);
  }
});

test('the settings file of the README is one', () => {
  const [toml = ''] = blocks(readme, 'toml');
  const file = join(temporaryDirectory(), 'holdfast.toml');
  writeFileSync(file, toml);
  const config = loadConfig({ file, flags: {}, environment: {} });
  expect(config.strings('grid.folders')).toHaveLength(6);
  expect(config.number('grid.data-fragments')).toBe(4);
});
