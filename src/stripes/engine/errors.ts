/** Errors on their way between threads: a code of the table and a message; nothing else of a thrown value crosses. */
import { type ErrorCode, HoldfastError } from '../../base/errors.ts';

export interface PlainError {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** What a thrown value becomes. Anything but a HoldfastError is a fault of ours: InternalError with its message. */
export function toPlainError(thrown: unknown): PlainError {
  if (thrown instanceof HoldfastError) return { code: thrown.code, detail: thrown.message };
  return {
    code: 'InternalError',
    detail: `stripe engine: ${thrown instanceof Error ? thrown.message : thrown}`,
  };
}

export function fromPlainError({ code, detail }: PlainError, cause?: unknown): HoldfastError {
  return new HoldfastError(code, { detail, cause });
}
