/**
 * Which names a bucket may have: S3 User Guide, "General purpose bucket naming rules". Only creating checks them; a name
 * that breaks them is simply not found elsewhere.
 */
import { HoldfastError } from '../base/errors.ts';

const NAME_LENGTH_MIN = 3;
const NAME_LENGTH_MAX = 63;
const RESERVED_PREFIXES = ['xn--', 'sthree-', 'amzn-s3-demo-'];
const RESERVED_SUFFIXES = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'];

/** @throws InvalidBucketName saying which rule is broken. */
export function checkBucketName(name: string): void {
  const broken = brokenRule(name);
  if (broken === undefined) return;
  throw new HoldfastError('InvalidBucketName', {
    detail: `The specified bucket is not valid: ${broken}.`,
    fields: { BucketName: name },
  });
}

function brokenRule(name: string): string | undefined {
  if (name.length < NAME_LENGTH_MIN || name.length > NAME_LENGTH_MAX) {
    return `a name has ${NAME_LENGTH_MIN} to ${NAME_LENGTH_MAX} characters`;
  }
  if (!/^[a-z0-9.-]+$/.test(name)) return 'a name has only lower-case letters, digits, dots and hyphens';
  if (!/^[a-z0-9].*[a-z0-9]$/.test(name)) return 'a name begins and ends with a letter or digit';
  if (name.includes('..')) return 'a name has no two dots in a row';
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(name)) return 'a name is not an IP address';
  const prefix = RESERVED_PREFIXES.find((reserved) => name.startsWith(reserved));
  if (prefix) return `names that begin with ${prefix} are reserved`;
  const suffix = RESERVED_SUFFIXES.find((reserved) => name.endsWith(reserved));
  if (suffix) return `names that end with ${suffix} are reserved`;
  return undefined;
}
