import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../harness/server.ts';
import { awsEnvironment, client, clientMatrix, has } from './matrix.ts';

const requirements = {
  s3fs: has('s3fs'),
  '/dev/fuse': existsSync('/dev/fuse'),
  fusermount: has('fusermount', ['-V']),
};

clientMatrix('s3fs', requirements, ({ server, halfWay }) => {
  test('a mounted bucket behaves like a folder', async () => {
    const point = temporaryDirectory();
    const passwords = join(temporaryDirectory(), 'passwd');
    writeFileSync(passwords, `${server().accessKeyId}:${server().secretAccessKey}\n`);
    chmodSync(passwords, 0o600);
    const keys = awsEnvironment(server());
    const s3 = new S3Client({
      endpoint: server().endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: {
        accessKeyId: keys['AWS_ACCESS_KEY_ID'] ?? '',
        secretAccessKey: keys['AWS_SECRET_ACCESS_KEY'] ?? '',
      },
    });
    await s3.send(new CreateBucketCommand({ Bucket: 's3fs' }));
    await client('s3fs', [
      's3fs',
      point,
      '-o',
      `url=${server().endpoint}`,
      '-o',
      'use_path_request_style',
      '-o',
      `passwd_file=${passwords}`,
    ]);
    try {
      mkdirSync(join(point, 'folder'));
      const large = randomBytes(25_000_000);
      writeFileSync(join(point, 'folder', 'small.txt'), 'small');
      writeFileSync(join(point, 'folder', 'large.bin'), large);
      await halfWay();
      renameSync(join(point, 'folder', 'small.txt'), join(point, 'folder', 'renamed.txt'));
      expect(readdirSync(join(point, 'folder')).sort()).toEqual(['large.bin', 'renamed.txt']);
      expect(readFileSync(join(point, 'folder', 'renamed.txt'), 'utf8')).toBe('small');
      expect(readFileSync(join(point, 'folder', 'large.bin')).equals(large)).toBe(true);
      rmSync(join(point, 'folder'), { recursive: true });
      expect(readdirSync(point)).toEqual([]);
    } finally {
      spawnSync('fusermount', ['-u', '-z', point]);
    }
  });
});
