/** Presigned S3 URLs (AWS Signature Version 4, query form), enough for a load generator that must cost little itself. */
import { createHash, createHmac } from 'node:crypto';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** Path and query of a request that is valid for an hour. */
export function presign(
  target: Target,
  method: string,
  path: string,
  query: Readonly<Record<string, string>> = {},
): string {
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${stamp.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const parameters: Record<string, string> = {
    ...query,
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${target.accessKeyId}/${scope}`,
    'X-Amz-Date': stamp,
    'X-Amz-Expires': '3600',
    'X-Amz-SignedHeaders': 'host',
  };
  const sorted = Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1));
  const queryText = sorted.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
  const pathText = path.split('/').map(encode).join('/');
  const canonical = [
    method,
    pathText,
    queryText,
    `host:${target.host}:${target.port}\n`,
    'host',
    'UNSIGNED-PAYLOAD',
  ].join('\n');
  const toSign = [
    'AWS4-HMAC-SHA256',
    stamp,
    scope,
    createHash('sha256').update(canonical).digest('hex'),
  ].join('\n');
  const dateKey = hmac(`AWS4${target.secretAccessKey}`, stamp.slice(0, 8));
  const key = hmac(hmac(hmac(dateKey, 'us-east-1'), 's3'), 'aws4_request');
  return `${pathText}?${queryText}&X-Amz-Signature=${createHmac('sha256', key).update(toSign).digest('hex')}`;
}
