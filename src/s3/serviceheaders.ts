/**
 * Headers that say what a request means: S3's own and Holdfast's beyond them. They have to be signed, and an operation refuses
 * one that it does not know instead of ignoring it.
 */
export function isServiceHeader(name: string): boolean {
  // Asked of every header of every request, of which most do not begin with an x.
  return name.charCodeAt(0) === 0x78 && (name.startsWith('x-amz-') || name.startsWith('x-holdfast-'));
}
