/**
 * What a gateway stands on: the data directory, the metadata database whose lock keeps every other process out, the keys, the root
 * credentials. Nothing is changed before the lock is held, but for the directory itself.
 */
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { codecById } from '../coding/registry.ts';
import { type Credentials, loadCredentials } from '../config/credentials.ts';
import { type DataDirectory, openDataDirectory } from '../config/datadirectory.ts';
import type { Config } from '../config/load.ts';
import { createBundle, type GatewayBundle, loadBundle } from '../crypto/bundle.ts';
import { deriveGridKeys, type GridKeys } from '../crypto/gridkeys.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { type LevelEngine, openLevel } from '../metadata/level.ts';
import type { Profile } from '../stripes/types.ts';
import type { Closers } from './closers.ts';

const GRID_KEY = keys.singleton('grid');

export interface Foundation {
  readonly profile: Profile;
  readonly data: DataDirectory;
  readonly engine: LevelEngine;
  readonly bundle: GatewayBundle;
  readonly gridKeys: GridKeys;
  readonly credentials: Credentials;
  /** For the person who starts it. */
  readonly notes: readonly string[];
}

/** @throws ConfigInvalid, DataDirectoryInvalid, DataDirectoryBusy or FormatTooNew, naming what is wrong */
export async function openFoundation(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
  random: Random,
  closers: Closers,
): Promise<Foundation> {
  const profile = profileOf(config);
  const data = await openDataDirectory(config.string('data'));
  const engine = await openLevel(data.metadata);
  closers.add(() => engine.close());
  const { bundle, notes } = await openBundle(data, engine, random);
  const credentials = await loadCredentials(data.credentials, environment, random);
  return { profile, data, engine, bundle, gridKeys: deriveGridKeys(bundle), credentials, notes };
}

function profileOf(config: Config): Profile {
  const profile = {
    k: config.number('grid.data-fragments'),
    m: config.number('grid.parity-fragments'),
    codecId: config.number('grid.codec'),
  };
  const codec = codecById(profile.codecId);
  if (!codec.supports(profile.k, profile.m)) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `${config.source('grid.codec')}: codec ${codec.name} cannot do ${profile.k} + ${profile.m}`,
    });
  }
  return profile;
}

/**
 * Keys are made once, with an empty metadata database. When one of the two is there without the other, the other was lost: making new
 * keys, or taking every fragment for an orphan, would finish what the loss began.
 */
async function openBundle(
  data: DataDirectory,
  engine: MetadataEngine,
  random: Random,
): Promise<{ readonly bundle: GatewayBundle; readonly notes: readonly string[] }> {
  const grid = await engine.get(GRID_KEY);
  if (data.hasBundle) {
    const { bundle, warnings } = await loadBundle(data.bundle);
    if (grid !== undefined && !grid.equals(bundle.gridId)) {
      throw new HoldfastError('DataDirectoryInvalid', {
        detail: `${data.bundle} and ${data.metadata} belong to different grids; put the right one back from a copy`,
      });
    }
    if (grid === undefined && data.hasNodes) {
      throw new HoldfastError('DataDirectoryInvalid', {
        detail: `${data.metadata} is empty, but there are keys and nodes: put the metadata back from a copy`,
      });
    }
    if (grid === undefined) await putGrid(engine, bundle);
    return { bundle, notes: warnings };
  }
  // A missing file is refused there with its name.
  if (grid !== undefined || data.hasNodes) await loadBundle(data.bundle);
  const bundle = await createBundle(data.bundle, random);
  await putGrid(engine, bundle);
  return {
    bundle,
    notes: [`${data.bundle} holds the keys of everything: keep a copy of it in a safe place`],
  };
}

function putGrid(engine: MetadataEngine, bundle: GatewayBundle): Promise<void> {
  return engine.batch([{ type: 'put', key: GRID_KEY, value: bundle.gridId }], { sync: true });
}
