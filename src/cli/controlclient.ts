/** The CLI's side of the control socket (src/admin/controlsocket.ts). */
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { SOCKET_NAME, SOCKET_POINTER } from '../admin/controlsocket.ts';
import { type ErrorCode, errorTable, HoldfastError } from '../base/errors.ts';
import { loadConfig } from '../config/load.ts';

const REPLY_BYTES_MAX = 64 * 1024 * 1024;

export interface OnlineOptions {
  readonly data?: string;
  readonly json?: boolean;
}

function socketPath(data: string): string {
  const pointer = join(data, SOCKET_POINTER);
  return existsSync(pointer) ? readFileSync(pointer, 'utf8').trim() : join(data, SOCKET_NAME);
}

/**
 * One call on the running server.
 * @throws the server's error under its code; NodeUnavailable-like plain text when no server runs there
 */
export function callServer<T>(
  options: OnlineOptions,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
): Promise<T> {
  const flags = options.data === undefined ? {} : { data: options.data };
  const data = resolve(loadConfig({ flags, environment: process.env }).string('data'));
  return new Promise((resolveCall, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
    const call = request({ socketPath: socketPath(data), path, method, headers }, (reply) => {
      const pieces: Buffer[] = [];
      let length = 0;
      reply.on('data', (piece: Buffer) => {
        length += piece.length;
        if (length > REPLY_BYTES_MAX) call.destroy(new Error('the reply is too large'));
        else pieces.push(piece);
      });
      reply.on('error', reject);
      reply.on('end', () => {
        const text = Buffer.concat(pieces).toString('utf8');
        const value = JSON.parse(text === '' ? '{}' : text) as unknown;
        if (reply.statusCode === 200) resolveCall(value as T);
        else reject(asError(value));
      });
    });
    call.on('error', (cause: NodeJS.ErrnoException) => reject(unreachable(data, cause)));
    call.end(payload);
  });
}

function asError(value: unknown): Error {
  const { code, message } = value as { code?: string; message?: string };
  const known = code !== undefined && code in errorTable ? (code as ErrorCode) : 'InternalError';
  return new HoldfastError(known, message === undefined ? {} : { detail: message });
}

function unreachable(data: string, cause: NodeJS.ErrnoException): Error {
  if (cause.code === 'EACCES') {
    return new HoldfastError('AccessDenied', {
      detail: `${data}: the control socket belongs to another user`,
      cause,
    });
  }
  if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED') {
    return new HoldfastError('ServiceUnavailable', {
      detail: `no server runs on ${data}; start one with "holdfast serve", or name its directory with --data`,
      cause,
    });
  }
  return new HoldfastError('ServiceUnavailable', { detail: `${data}: ${cause.message}`, cause });
}
