/** Both engines run the one suite: LevelDB and the simulator's model of it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { openLevel } from '../../src/metadata/level.ts';
import { metadataConformance } from '../conformance/metadata.ts';
import { SimulatedMetadata } from '../simulation/metadata.ts';

let directory: string;
let count = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-metadata-'));
});

afterAll(async () => rm(directory, { recursive: true, force: true }));

metadataConformance('LevelDB', () => openLevel(join(directory, String(count++))));
metadataConformance('simulated', async () => new SimulatedMetadata(1));
