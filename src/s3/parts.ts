/** What every request needs of its server: the options, resolved, and the objects made from them. */
import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { ObjectService } from '../objects/types.ts';
import type { S3Limits } from './limits.ts';
import type { OperationTable } from './operationtable.ts';
import type { HostRules } from './routing.ts';
import type { Authenticator } from './sigv4.ts';

/** One answered (or broken off) request, for metrics. */
export interface RequestRecord {
  /** AWS's operation name, `Health`, or `Unknown` where none was found. */
  readonly operation: string;
  /** As answered; 499 when the client went away before. */
  readonly status: number;
  readonly errorCode: string | undefined;
  readonly durationMs: number;
  /** Body bytes on the wire. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface ServerParts {
  readonly objects: ObjectService;
  readonly region: string;
  readonly table: OperationTable;
  readonly authenticator: Authenticator;
  readonly hosts: HostRules;
  readonly limits: S3Limits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly ready: () => boolean | Promise<boolean>;
  readonly onRequest: ((record: RequestRecord) => void) | undefined;
  readonly tls: boolean;
  /** x-amz-id-2 and HostId: which process answered. */
  readonly hostId: string;
  /** True while the server stops: answers then close their connections. */
  closing: boolean;
  /** Whether no other request of its connection is unanswered. */
  readonly isAlone: (request: IncomingMessage) => boolean;
}
