/** What the end-to-end benchmark measures: a running S3 server with keys to it. */
import type { Target } from '../load/presign.ts';

export interface Contender {
  readonly name: string;
  readonly target: Target;
  readonly pid: number;
  /** Processes whose CPU time counts as well. */
  readonly helpers?: readonly number[];
  /** The last it wrote, for the message when it fails. */
  output(): string;
  /** Removes what was deleted from the disk, where the server leaves it there for later. */
  emptyTrash?(): Promise<void>;
  stop(): Promise<void>;
}

/** How a contender is started. Its data goes under `directory`, which exists and is removed afterwards. */
export interface Peer {
  readonly name: string;
  start(directory: string): Promise<Contender>;
}
