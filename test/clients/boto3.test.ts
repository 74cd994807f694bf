import { fileURLToPath } from 'node:url';
import { test } from 'vitest';
import { awsEnvironment, client, clientMatrix, has } from './matrix.ts';

const script = fileURLToPath(new URL('./boto3_client.py', import.meta.url));
const python = process.env['HOLDFAST_TEST_PYTHON'] ?? 'python3';

clientMatrix(
  'boto3',
  { 'python3 with boto3': has(python, ['-c', 'import boto3']) },
  ({ server, halfWay }) => {
    test('objects of many sizes, checksums, multipart, conditions, listing, tags', async () => {
      await client(python, [script, server().endpoint, 'write'], awsEnvironment(server()));
      await halfWay();
      await client(python, [script, server().endpoint, 'read'], awsEnvironment(server()));
    });
  },
);
