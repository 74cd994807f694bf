/**
 * Every setting, once: its place in the TOML file, its flag, its environment variable, its type and its default. The
 * order of precedence is flag > environment > file > default (DESIGN.md, "From outside"). Secrets have no flag: flags are
 * seen in the process table.
 */
export type SettingType = 'string' | 'integer' | 'boolean' | 'strings' | 'bytes';

export interface Setting {
  readonly type: SettingType;
  readonly default: string | number | boolean | readonly string[] | undefined;
  /** Without the leading dashes; settings without it cannot be given on the command line. */
  readonly flag?: string;
  /** The commands that it belongs to; `serve` alone where it does not say. */
  readonly commands?: readonly ('serve' | 'node')[];
  readonly help: string;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
}

export const settings = {
  data: { type: 'string', default: './holdfast-data', flag: 'data', help: 'data directory' },
  's3.listen': { type: 'string', default: '127.0.0.1:9000', flag: 's3', help: 'address of the S3 endpoint' },
  's3.region': { type: 'string', default: 'us-east-1', flag: 'region', help: 'region that buckets report' },
  's3.domains': {
    type: 'strings',
    default: [],
    flag: 's3-domain',
    help: 'domain whose subdomains name buckets (virtual-host style); may be given more than once',
  },
  's3.tls-cert': {
    type: 'string',
    default: undefined,
    flag: 'tls-cert',
    help: 'PEM certificate chain for S3 over TLS',
  },
  's3.tls-key': {
    type: 'string',
    default: undefined,
    flag: 'tls-key',
    help: 'PEM private key for S3 over TLS',
  },
  's3.connections': {
    type: 'integer',
    default: 20_000,
    min: 1,
    max: 1_000_000,
    help: 'connections that may be open at once',
  },
  's3.upload-days': {
    type: 'integer',
    default: 7,
    min: 1,
    max: 3650,
    help: 'days without activity after which a multipart upload is aborted',
  },
  's3.etag': {
    type: 'string',
    default: 'md5',
    choices: ['md5', 'opaque'],
    help: 'ETags of new buckets whose creator does not say: the MD5 as at S3, or opaque ones that cost nothing',
  },
  'admin.listen': {
    type: 'string',
    default: '127.0.0.1:9001',
    flag: 'admin',
    help: 'address of the status page and of /metrics; "off" for none',
  },
  'grid.nodes': {
    type: 'integer',
    default: 6,
    min: 0,
    max: 255,
    help: 'embedded nodes under the data directory; 0 for a grid of daemons alone',
  },
  'grid.folders': {
    type: 'strings',
    default: [],
    flag: 'folder',
    help: 'folder of one embedded node (one per disk); may be given more than once; replaces grid.nodes',
  },
  'grid.node-capacity': {
    type: 'bytes',
    default: undefined,
    help: 'bytes that one embedded node may occupy, for example "500GiB"; the file system\'s size when absent',
  },
  'grid.data-fragments': {
    type: 'integer',
    default: 4,
    min: 1,
    max: 254,
    flag: 'data-fragments',
    help: 'k: fragments that are needed to read a stripe',
  },
  'grid.parity-fragments': {
    type: 'integer',
    default: 2,
    min: 0,
    max: 254,
    flag: 'parity-fragments',
    help: 'm: fragments that may be lost',
  },
  'grid.codec': {
    type: 'integer',
    default: 1,
    min: 1,
    max: 2,
    help: '1 Cauchy Reed–Solomon, 2 @ronomon/reed-solomon',
  },
  'healing.repair-rate': {
    type: 'bytes',
    default: '100MiB',
    help: 'bytes per second that repair may move while no stripe is without a spare fragment',
  },
  'healing.scrub-rate': {
    type: 'bytes',
    default: '20MiB',
    help: 'bytes per second that a background scrub reads on each node',
  },
  'healing.scrub-days': {
    type: 'integer',
    default: 30,
    min: 1,
    max: 3650,
    help: 'days in which every byte is verified once',
  },
  'node.data': {
    type: 'string',
    default: './holdfast-node',
    flag: 'data',
    commands: ['node'],
    help: 'directory of the node, and all of its state',
  },
  'node.listen': {
    type: 'string',
    default: '127.0.0.1:9900',
    flag: 'listen',
    commands: ['node'],
    help: 'address for the 0-db protocol without TLS; "off" for none',
  },
  'node.tls-listen': {
    type: 'string',
    default: '127.0.0.1:9910',
    flag: 'tls-listen',
    commands: ['node'],
    help: 'address for gateways over TLS with post-quantum keys; "off" for none',
  },
  'node.admin-password-file': {
    type: 'string',
    default: undefined,
    flag: 'admin-password-file',
    commands: ['node'],
    help: 'file with the password of the administrator; without one everybody is an administrator, as in 0-db',
  },
  'node.capacity': {
    type: 'bytes',
    default: undefined,
    flag: 'capacity',
    commands: ['node'],
    help: 'bytes that the node may occupy, for example "500GiB"; the file system\'s size when absent',
  },
  'node.connections': {
    type: 'integer',
    default: 20_000,
    min: 1,
    max: 1_000_000,
    commands: ['node'],
    help: 'connections that may be open at once',
  },
  'node.scrub-rate': {
    type: 'bytes',
    default: '20MiB',
    commands: ['node'],
    help: 'bytes per second that the scrub reads at most',
  },
  'node.scrub-days': {
    type: 'integer',
    default: 30,
    min: 1,
    max: 3650,
    commands: ['node'],
    help: 'days in which every byte is verified once',
  },
  'log.level': {
    type: 'string',
    default: 'info',
    flag: 'log-level',
    commands: ['serve', 'node'],
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
    help: 'what is logged',
  },
  'log.format': {
    type: 'string',
    default: 'auto',
    flag: 'log-format',
    commands: ['serve', 'node'],
    choices: ['auto', 'pretty', 'json'],
    help: 'pretty on a terminal and JSON elsewhere, unless one is named',
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;

/** `s3.tls-cert` → `HOLDFAST_S3_TLS_CERT`. */
export function environmentName(name: SettingName): string {
  return `HOLDFAST_${name.replace(/[.-]/g, '_').toUpperCase()}`;
}
