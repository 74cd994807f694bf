/**
 * Assertions state invariants of our own code. Input from outside is never asserted: it is validated and answered
 * with a HoldfastError.
 */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws AssertionError when `condition` is false. */
export function assert(condition: unknown, message = 'invariant violated'): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** The value, asserted to be neither null nor undefined. */
export function defined<T>(value: T | null | undefined, what = 'value'): T {
  if (value === null || value === undefined) throw new AssertionError(`${what} is missing`);
  return value;
}
