import { type NativeAddon, type NativeLevel, native } from '../../src/base/native.ts';

/** The addon, for tests that have nothing to do without it. */
export function requireAddon(): NativeAddon {
  const { addon, reason } = native();
  if (addon === undefined) throw new Error(`no addon: ${reason}`);
  return addon;
}

/** Does some work at each level of this processor, as many rounds as asked for, and goes back to the level there was. */
export function atLevels(addon: NativeAddon, rounds: number, work: (level: NativeLevel) => void): void {
  const before = addon.level();
  const levels = addon.levels();
  try {
    for (let round = 0; round < rounds; round++) {
      const level = levels[round % levels.length]!;
      addon.selectLevel(level);
      work(level);
    }
  } finally {
    addon.selectLevel(before);
  }
}
