/** Memory that threads share, and what has to be copied or handed over instead. */

/** Whether a view can be seen by another thread without being copied. */
export function isShared(view: Uint8Array): boolean {
  return view.buffer instanceof SharedArrayBuffer;
}

/** A copy in a buffer of its own. (`slice` would do for a Uint8Array, but for a Buffer it makes a view.) */
export function ownCopy(view: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view);
}

/** The view itself if it is shared, otherwise a copy that can be handed over whole. */
export function sharedOrCopied(view: Uint8Array): Uint8Array {
  return isShared(view) ? view : ownCopy(view);
}

/** The buffers of those `views` that are not shared, which must be copies made for this: they are gone afterwards. */
export function buffersToTransfer(views: readonly Uint8Array[]): ArrayBuffer[] {
  return views.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : []));
}
