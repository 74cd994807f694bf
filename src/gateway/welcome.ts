/**
 * What a newcomer needs after the first start: ready-made configuration files for the AWS CLI and rclone in `clients/` of the data directory
 * (mode 0600), so that the commands that are printed work when pasted and no secret is printed. Credentials that came from
 * the environment are not written to disk; the commands then take them from there.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileDurably } from '../base/durablefile.ts';
import type { Credentials } from '../config/credentials.ts';

export interface Welcome {
  readonly version: string;
  readonly endpoint: string;
  readonly statusPage: string | undefined;
  readonly data: string;
  readonly grid: string;
  readonly keys: string;
  readonly kernels: string;
  readonly notes: readonly string[];
  readonly awsCommand: string;
  readonly rcloneCommand: string;
}

export interface ClientSettings {
  readonly dataDirectory: string;
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: Credentials;
  readonly firstBucket: string | undefined;
}

const readme = fileURLToPath(new URL('../../README.md', import.meta.url));
const NEW_BUCKET = 'first-bucket';

/** Writes the client files where that is right, and returns the two commands. */
export async function writeClientFiles(
  settings: ClientSettings,
): Promise<{ readonly awsCommand: string; readonly rcloneCommand: string }> {
  const action = settings.firstBucket === undefined ? `mb s3://${NEW_BUCKET}` : 'ls';
  const target = `copy -v ${quote(readme)} holdfast:${settings.firstBucket ?? NEW_BUCKET}`;
  const { endpoint, region, credentials } = settings;
  if (credentials.source.startsWith('the environment')) {
    const [access, secret] = /\((\w+), (\w+)\)/.exec(credentials.source)?.slice(1) ?? [];
    const rcloneSettings = `provider=Other,region=${region},endpoint='${endpoint}'`;
    return {
      awsCommand: `AWS_ACCESS_KEY_ID=$${access} AWS_SECRET_ACCESS_KEY=$${secret} aws --endpoint-url ${endpoint} --region ${region} s3 ${action}`,
      rcloneCommand: `RCLONE_S3_ACCESS_KEY_ID=$${access} RCLONE_S3_SECRET_ACCESS_KEY=$${secret} rclone ${target.replace('holdfast:', `":s3,${rcloneSettings}:`)}"`,
    };
  }
  const folder = join(settings.dataDirectory, 'clients');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const aws = join(folder, 'aws.config');
  const rclone = join(folder, 'rclone.conf');
  await writeFileDurably(aws, awsProfile(settings), 0o600);
  await writeFileDurably(rclone, rcloneRemote(settings), 0o600);
  return {
    awsCommand: `AWS_CONFIG_FILE=${quote(aws)} aws --profile holdfast --endpoint-url ${endpoint} s3 ${action}`,
    rcloneCommand: `rclone --config ${quote(rclone)} ${target}`,
  };
}

function awsProfile({ endpoint, region, credentials }: ClientSettings): string {
  return [
    '[profile holdfast]',
    `aws_access_key_id = ${credentials.accessKeyId}`,
    `aws_secret_access_key = ${credentials.secretAccessKey}`,
    `region = ${region}`,
    `endpoint_url = ${endpoint}`,
    '',
  ].join('\n');
}

function rcloneRemote({ endpoint, region, credentials }: ClientSettings): string {
  return [
    '[holdfast]',
    'type = s3',
    'provider = Other',
    `access_key_id = ${credentials.accessKeyId}`,
    `secret_access_key = ${credentials.secretAccessKey}`,
    `region = ${region}`,
    `endpoint = ${endpoint}`,
    '',
  ].join('\n');
}

/** For a POSIX shell; left bare when that is safe, because it reads better. */
function quote(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
