import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../harness/server.ts';
import { awsEnvironment, client, clientMatrix, has, makeTree, treeHashes } from './matrix.ts';

clientMatrix('restic', { restic: has('restic', ['version']) }, ({ server, halfWay }) => {
  test('init, backup, check --read-data, restore, prune', async () => {
    const environment = {
      ...awsEnvironment(server()),
      RESTIC_PASSWORD: 'correct horse',
      RESTIC_REPOSITORY: `s3:${server().endpoint}/restic/repository`,
      RESTIC_CACHE_DIR: temporaryDirectory(),
    };
    const restic = (...args: string[]) => client('restic', args, environment);
    const tree = makeTree();
    await restic('init');
    await restic('backup', tree);
    await halfWay();
    appendFileSync(join(tree, 'plain', 'file 0.bin'), 'changed');
    await restic('backup', tree);
    await restic('check', '--read-data');
    const target = temporaryDirectory();
    await restic('restore', 'latest', '--target', target);
    expect(treeHashes(join(target, tree))).toEqual(treeHashes(tree));
    await restic('forget', '--keep-last', '1', '--prune');
    await restic('check', '--read-data');
  });
});
