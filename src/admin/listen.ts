import { HoldfastError } from '../base/errors.ts';

/** A failed listen() as an error that names the address and the setting to change. */
export function asListenError(
  error: unknown,
  address: { host: string; port: number },
  setting: string,
): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const where = `${address.host}:${address.port}`;
  if (code === 'EADDRINUSE') {
    return new HoldfastError('PortInUse', {
      detail: `${where} is already in use; stop what listens there or choose another address with ${setting}`,
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL') {
    return new HoldfastError('ConfigInvalid', {
      detail: `cannot listen on ${where} (${code}): see ${setting}`,
      cause: error,
    });
  }
  return error;
}
