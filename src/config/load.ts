/**
 * Puts the configuration together from flags, environment, file and defaults, and remembers where each value came from,
 * so that an error can name the flag, the variable, or the line of the file.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { HoldfastError } from '../base/errors.ts';
import { environmentName, type Setting, type SettingName, settings } from './schema.ts';

export type SettingValue = string | number | boolean | readonly string[] | undefined;

export interface Sourced {
  readonly value: SettingValue;
  /** `flag --data`, `environment HOLDFAST_DATA`, `/etc/holdfast/holdfast.toml line 3`, or `default`. */
  readonly source: string;
}

export class Config {
  readonly #values: ReadonlyMap<SettingName, Sourced>;
  /** The file that was read, if any. */
  readonly file: string | undefined;

  constructor(values: ReadonlyMap<SettingName, Sourced>, file: string | undefined) {
    this.#values = values;
    this.file = file;
  }

  source(name: SettingName): string {
    return this.#values.get(name)?.source ?? 'default';
  }

  string(name: SettingName): string {
    return String(this.#values.get(name)?.value);
  }

  optional(name: SettingName): string | undefined {
    const value = this.#values.get(name)?.value;
    return value === undefined ? undefined : String(value);
  }

  number(name: SettingName): number {
    return Number(this.#values.get(name)?.value);
  }

  optionalNumber(name: SettingName): number | undefined {
    const value = this.#values.get(name)?.value;
    return value === undefined ? undefined : Number(value);
  }

  strings(name: SettingName): readonly string[] {
    const value = this.#values.get(name)?.value;
    return Array.isArray(value) ? value : [];
  }
}

export interface ConfigInput {
  /** Whose flags were given; `serve` when left out. */
  readonly command?: 'serve' | 'node';
  /** Flags that were given, by the flag's name. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `--config`; must exist when given. */
  readonly file?: string;
}

/** @throws ConfigInvalid naming the flag, variable or line. */
export function loadConfig(input: ConfigInput): Config {
  const path = input.file ?? input.environment['HOLDFAST_CONFIG'] ?? defaultFile(input.environment);
  const fromFile = path === undefined ? new Map<string, Sourced>() : readConfigFile(path);
  const values = new Map<SettingName, Sourced>();
  const command = input.command ?? 'serve';
  for (const [name, setting] of Object.entries(settings) as [SettingName, Setting][]) {
    const isOurs = (setting.commands ?? ['serve']).includes(command);
    const raw = pick(name, setting, isOurs ? input : { ...input, flags: {} }, fromFile);
    values.set(name, {
      value: raw.value === undefined ? undefined : convert(setting, raw),
      source: raw.source,
    });
  }
  const config = new Config(values, path);
  checkTogether(config);
  return config;
}

function defaultFile(environment: ConfigInput['environment']): string | undefined {
  const xdg = environment['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
  return [join(xdg, 'holdfast', 'holdfast.toml'), '/etc/holdfast/holdfast.toml'].find((path) =>
    existsSync(path),
  );
}

function pick(
  name: SettingName,
  setting: Setting,
  input: ConfigInput,
  fromFile: ReadonlyMap<string, Sourced>,
): Sourced {
  const flag = setting.flag === undefined ? undefined : input.flags[setting.flag];
  if (flag !== undefined) return { value: flag as SettingValue, source: `flag --${setting.flag}` };
  const variable = environmentName(name);
  const fromEnvironment = input.environment[variable];
  if (fromEnvironment !== undefined && fromEnvironment !== '') {
    const value =
      setting.type === 'strings' ? fromEnvironment.split(',').map((part) => part.trim()) : fromEnvironment;
    return { value, source: `environment ${variable}` };
  }
  return fromFile.get(name) ?? { value: setting.default, source: 'default' };
}

function readConfigFile(path: string): Map<string, Sourced> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `${path}: cannot be read (${(cause as Error).message})`,
      cause,
    });
  }
  let document: Record<string, unknown>;
  try {
    document = parse(text);
  } catch (cause) {
    const where = cause instanceof TomlError ? ` line ${cause.line}` : '';
    const what = (cause as Error).message.split('\n')[0];
    throw new HoldfastError('ConfigInvalid', { detail: `${path}${where}: ${what}`, cause });
  }
  const values = new Map<string, Sourced>();
  for (const [name, value] of flatten(document, '')) {
    const source = `${path} line ${lineOf(text, name)}`;
    if (!(name in settings)) {
      const known = Object.keys(settings).join(', ');
      throw new HoldfastError('ConfigInvalid', {
        detail: `${source}: there is no setting "${name}"; there are ${known}`,
      });
    }
    values.set(name, { value: value as SettingValue, source });
  }
  return values;
}

function* flatten(table: Record<string, unknown>, prefix: string): Generator<[string, unknown]> {
  for (const [key, value] of Object.entries(table)) {
    const isTable =
      typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
    if (isTable) yield* flatten(value as Record<string, unknown>, `${prefix}${key}.`);
    else yield [`${prefix}${key}`, value];
  }
}

/** Line of the assignment of a dotted name: the last part, under its table or as a dotted key. */
function lineOf(text: string, name: string): number {
  const parts = name.split('.');
  const last = parts.at(-1) ?? name;
  const table = parts.slice(0, -1).join('.');
  let current = '';
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    const trimmed = line.trim();
    const header = /^\[([^\]]+)\]/.exec(trimmed);
    if (header) current = header[1]?.trim() ?? '';
    const key = trimmed.split('=')[0]?.trim().replace(/["']/g, '') ?? '';
    if ((current === table && key === last) || (current === '' && key === name)) return index + 1;
  }
  return 1;
}

function convert(setting: Setting, raw: Sourced): SettingValue {
  const value = raw.value;
  const wrong = (what: string): never => {
    throw new HoldfastError('ConfigInvalid', {
      detail: `${raw.source}: ${JSON.stringify(value)} is not ${what}`,
    });
  };
  if (setting.type === 'strings') {
    if (!Array.isArray(value) || value.some((entry) => typeof entry !== 'string'))
      return wrong('a list of strings');
    return value;
  }
  if (setting.type === 'string') {
    if (typeof value !== 'string') return wrong('a string');
    if (setting.choices && !setting.choices.includes(value))
      return wrong(`one of ${setting.choices.join(', ')}`);
    return value;
  }
  if (setting.type === 'boolean') {
    if (value === true || value === 'true' || value === '1') return true;
    if (value === false || value === 'false' || value === '0') return false;
    return wrong('true or false');
  }
  const number = setting.type === 'bytes' ? parseBytes(value) : Number(value);
  if (!Number.isSafeInteger(number))
    return wrong(setting.type === 'bytes' ? 'a size such as "500GiB"' : 'a whole number');
  const min = setting.min ?? 0;
  const max = setting.max ?? Number.MAX_SAFE_INTEGER;
  if (number < min || number > max) return wrong(`between ${min} and ${max}`);
  return number;
}

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  PB: 1e15,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
  PIB: 2 ** 50,
};

/** `"1.5GiB"`, `"500 MB"`, 1024 → bytes; NaN when it is none of these. */
export function parseBytes(value: unknown): number {
  if (typeof value === 'number') return value;
  const match = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(String(value));
  const unit = byteUnits[(match?.[2] ?? '?').toUpperCase()];
  return match && unit !== undefined ? Math.round(Number(match[1]) * unit) : Number.NaN;
}

function checkTogether(config: Config): void {
  const k = config.number('grid.data-fragments');
  const m = config.number('grid.parity-fragments');
  if (k + m > 255) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `${config.source('grid.data-fragments')}, ${config.source('grid.parity-fragments')}: k + m = ${k + m}, at most 255 are possible`,
    });
  }
  const cert = config.optional('s3.tls-cert');
  const key = config.optional('s3.tls-key');
  if ((cert === undefined) !== (key === undefined)) {
    const given = cert === undefined ? 's3.tls-key' : 's3.tls-cert';
    throw new HoldfastError('ConfigInvalid', {
      detail: `${config.source(given)}: a certificate and a key are needed together (--tls-cert and --tls-key)`,
    });
  }
  parseAddress(config.string('s3.listen'), config.source('s3.listen'));
  for (const name of ['node.listen', 'node.tls-listen'] as const) {
    if (config.string(name) !== 'off') parseAddress(config.string(name), config.source(name));
  }
  if (config.string('admin.listen') !== 'off') {
    parseAddress(config.string('admin.listen'), config.source('admin.listen'));
  }
  const folders = config.strings('grid.folders').map((folder) => resolve(folder));
  const twice = folders.find((folder, index) => folders.indexOf(folder) !== index);
  if (twice !== undefined) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `${config.source('grid.folders')}: ${twice} is named twice`,
    });
  }
}

/** `host:port`, `[::1]:9000`, `:9000` → parts. @throws ConfigInvalid */
export function parseAddress(text: string, source: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `${source}: "${text}" is not an address such as 127.0.0.1:9000`,
    });
  }
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port };
}
