/**
 * `x-amz-copy-source`: `[/]bucket/key[?versionId=id]`, percent-encoded UTF-8. A question mark of the key
 * itself is encoded by every client, so the version is cut off before decoding. `+` is a plus sign, as in a
 * path.
 * Source: docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 */
import type { IncomingHttpHeaders } from 'node:http';
import { HoldfastError } from '../base/errors.ts';
import type { CopySource } from '../objects/types.ts';
import { COPY_CONDITION_HEADERS, readConditions } from './headers-conditions.ts';
import { header, invalidArgument, notImplemented } from './headers-values.ts';

export const COPY_SOURCE_HEADERS = ['x-amz-copy-source', ...COPY_CONDITION_HEADERS] as const;

const VERSION_PARAMETER = '?versionId=';

/** @throws InvalidArgument, NoSuchVersion, NotImplemented for access point ARNs */
export function parseCopySource(headers: IncomingHttpHeaders): CopySource {
  const value = header(headers, 'x-amz-copy-source') ?? '';
  const cut = value.lastIndexOf(VERSION_PARAMETER);
  const path = decodePath(cut < 0 ? value : value.slice(0, cut), value);
  if (cut >= 0) checkVersionId(value.slice(cut + VERSION_PARAMETER.length));
  if (path.startsWith('arn:')) throw notImplemented('x-amz-copy-source with an ARN');
  const trimmed = path.startsWith('/') ? path.slice(1) : path;
  const slash = trimmed.indexOf('/');
  if (slash <= 0 || slash === trimmed.length - 1) throw invalidSource(value);
  const conditions = readConditions(headers, 'x-amz-copy-source-');
  return {
    bucket: trimmed.slice(0, slash),
    key: trimmed.slice(slash + 1),
    ...(conditions && { conditions }),
  };
}

/** Buckets without versioning have one version of each key, called `null`. @throws NoSuchVersion, InvalidArgument */
export function checkVersionId(versionId: string | null | undefined): void {
  if (versionId === null || versionId === undefined || versionId === 'null') return;
  if (versionId === '') throw invalidArgument('versionId', '', 'Version id cannot be the empty string');
  throw new HoldfastError('NoSuchVersion', { fields: { VersionId: versionId } });
}

/** Header characters are bytes; encoded and raw ones together must be UTF-8. */
function decodePath(text: string, whole: string): string {
  const bytes = Buffer.from(
    text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalidSource(whole);
  }
}

function invalidSource(value: string): HoldfastError {
  return invalidArgument(
    'x-amz-copy-source',
    value,
    'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
  );
}
