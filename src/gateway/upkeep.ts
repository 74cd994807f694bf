/** The object layer's background work, as tasks: large deletes, emptied and half-empty stripes, idle uploads. */
import type { Clock } from '../base/clock.ts';
import { HOUR_MS, MIB, MINUTE_MS, SECOND_MS } from '../base/units.ts';
import type { ObjectUpkeep } from '../objects/service.ts';

const GARBAGE_COMMITS_PER_STEP = 64;
const COMPACTION_BYTES_PER_STEP = 16 * MIB;

export interface UpkeepTask {
  readonly name: string;
  /** Resolves to the rest before the next step. */
  readonly step: (signal: AbortSignal) => Promise<number>;
}

export function upkeepTasks(upkeep: ObjectUpkeep, clock: Clock, uploadIdleMsMax: number): UpkeepTask[] {
  return [
    {
      name: 'large deletes',
      step: async () => {
        const { steps } = await upkeep.collectGarbage(GARBAGE_COMMITS_PER_STEP);
        return steps > 0 ? 0 : 10 * SECOND_MS;
      },
    },
    {
      name: 'emptied stripes',
      step: async () => {
        await upkeep.buryEmptyStripes();
        return HOUR_MS;
      },
    },
    {
      name: 'space compaction',
      step: async () => {
        const { compacted } = await upkeep.compactSharedStripes({ bytesMax: COMPACTION_BYTES_PER_STEP });
        return compacted > 0 ? SECOND_MS : 5 * MINUTE_MS;
      },
    },
    {
      name: 'idle uploads',
      step: async () => {
        await upkeep.abortIdleUploads(clock.nowMs(), uploadIdleMsMax);
        await upkeep.sweepEpochs();
        return HOUR_MS;
      },
    },
  ];
}
