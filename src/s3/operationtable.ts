/**
 * Finds the operation a request asks for, and refuses what the operation does not understand. Nothing is silently
 * ignored: a query parameter, x-amz-* or x-holdfast-* header or conditional header that would change the meaning of a
 * request and is not in the operation's row is answered with NotImplemented, by name.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { HoldfastError } from '../base/errors.ts';
import { checksumKinds } from './checksums.ts';
import type { Operation } from './operation.ts';
import type { Route } from './routing.ts';
import { isServiceHeader } from './serviceheaders.ts';
import type { QueryPair } from './target.ts';

/** Headers that any request may carry: about signing, framing and the client itself, or checked by the server. */
const commonHeaders: ReadonlySet<string> = new Set([
  'x-amz-date',
  'x-amz-content-sha256',
  'x-amz-user-agent',
  'x-amz-sdk-checksum-algorithm',
  'x-amz-sdk-invocation-id',
  'x-amz-sdk-request',
  'x-amz-sdk-retry',
  'x-amz-decoded-content-length',
  'x-amz-trailer',
  'x-amz-te',
  'x-amz-expected-bucket-owner',
  'x-amz-source-expected-bucket-owner',
  'x-amz-request-payer',
]);

/** Parameters that any request may carry: SDKs name the operation there. */
const commonParameters: ReadonlySet<string> = new Set(['x-id']);

/** Change what a write does, or which bytes a ranged read may mix; refused where a row does not list them. */
const writeConditions = ['if-match', 'if-none-match', 'if-unmodified-since', 'content-range'] as const;
const readConditions = ['if-range'] as const;

interface Row {
  readonly operation: Operation;
  readonly selectors: readonly (readonly [string, string | true])[];
  readonly parameters: ReadonlySet<string>;
  readonly headers: ReadonlySet<string>;
  /** Names that end in '-' or '*' stand for all that start so. */
  readonly headerPrefixes: readonly string[];
}

export class OperationTable {
  /** By `method level`; the more specific row first. */
  readonly #rows = new Map<string, Row[]>();
  readonly #methodsByLevel = new Map<string, Set<string>>();

  constructor(operations: readonly Operation[]) {
    for (const operation of operations) {
      const place = `${operation.method} ${operation.level}`;
      const rows = this.#rows.get(place) ?? [];
      rows.push(toRow(operation));
      this.#rows.set(place, rows);
      const methods = this.#methodsByLevel.get(operation.level) ?? new Set();
      this.#methodsByLevel.set(operation.level, methods.add(operation.method));
    }
    for (const rows of this.#rows.values()) rows.sort((a, b) => specificity(b) - specificity(a));
  }

  /** @throws NotImplemented, MethodNotAllowed, InvalidArgument for a repeated parameter */
  find(method: string, route: Route, query: readonly QueryPair[], headers: IncomingHttpHeaders): Operation {
    const rows = this.#rows.get(`${method} ${route.level}`) ?? [];
    const row = rows.find((candidate) => matches(candidate, query, headers));
    if (!row) throw this.#nothingFits(method, route, query);
    checkParameters(row, query);
    checkHeaders(row, method, headers);
    return row.operation;
  }

  #nothingFits(method: string, route: Route, query: readonly QueryPair[]): HoldfastError {
    const known = [...this.#rows.values()].flat();
    const unknown = query.find(
      ([name]) => !commonParameters.has(name) && !known.some((row) => row.parameters.has(name)),
    );
    if (unknown) return notImplemented('query parameter', unknown[0]);
    return new HoldfastError('MethodNotAllowed', {
      fields: {
        Method: method,
        ResourceType: route.level.toUpperCase(),
        AllowedMethods: [...(this.#methodsByLevel.get(route.level) ?? [])].join(', '),
      },
    });
  }
}

function toRow(operation: Operation): Row {
  const selectors = Object.entries(operation.selectors);
  const headers = operation.headers.map((name) => name.toLowerCase());
  if (operation.selectingHeader) headers.push(operation.selectingHeader.toLowerCase());
  const isPrefix = (name: string) => name.endsWith('-') || name.endsWith('*');
  return {
    operation,
    selectors,
    parameters: new Set([...selectors.map(([name]) => name), ...operation.parameters]),
    headers: new Set(headers.filter((name) => !isPrefix(name))),
    headerPrefixes: headers.filter(isPrefix).map((name) => name.replace('*', '')),
  };
}

function specificity(row: Row): number {
  return row.selectors.length * 2 + (row.operation.selectingHeader ? 1 : 0);
}

function matches(row: Row, query: readonly QueryPair[], headers: IncomingHttpHeaders): boolean {
  const { selectingHeader } = row.operation;
  if (selectingHeader !== undefined && headers[selectingHeader] === undefined) return false;
  for (const [name, wanted] of row.selectors) {
    const found = query.find((pair) => pair[0] === name);
    if (!found || (wanted !== true && found[1] !== wanted)) return false;
  }
  return true;
}

function checkParameters(row: Row, query: readonly QueryPair[]): void {
  for (let i = 0; i < query.length; i++) {
    const name = query[i]?.[0] ?? '';
    if (!row.parameters.has(name) && !commonParameters.has(name)) {
      throw notImplemented('query parameter', name, row.operation.name);
    }
    if (query.findIndex((pair) => pair[0] === name) !== i) {
      throw new HoldfastError('InvalidArgument', {
        detail: `The query parameter ${name} is given twice.`,
        fields: { ArgumentName: name },
      });
    }
  }
}

function checkHeaders(row: Row, method: string, headers: IncomingHttpHeaders): void {
  for (const name in headers) {
    if (!isServiceHeader(name)) continue;
    if (!understands(row, name, method, headers)) throw notImplemented('header', name, row.operation.name);
  }
  const reads = method === 'GET' || method === 'HEAD';
  if (reads && (row.operation.level !== 'object' || headers.range === undefined)) return;
  for (const name of reads ? readConditions : writeConditions) {
    if (headers[name] !== undefined && !row.headers.has(name)) {
      throw notImplemented('header', name, row.operation.name);
    }
  }
}

function understands(row: Row, name: string, method: string, headers: IncomingHttpHeaders): boolean {
  if (commonHeaders.has(name) || row.headers.has(name)) return true;
  if (row.headerPrefixes.some((prefix) => name.startsWith(prefix))) return true;
  return checksumKinds.has(name) && (method === 'PUT' || method === 'POST') && hasBody(headers);
}

/** Then x-amz-checksum-* is compared with it, whatever the operation. */
function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function notImplemented(what: string, name: string, operation?: string): HoldfastError {
  return new HoldfastError('NotImplemented', {
    detail: `The ${what} ${JSON.stringify(name)} is not implemented${operation ? ` for ${operation}` : ''}.`,
    fields: what === 'header' ? { Header: name } : { Parameter: name },
  });
}
