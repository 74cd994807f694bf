import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/clients/**', 'test/grid/processes/**', 'node_modules/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Many tests wait for servers and disks: one file more than there are processors keeps these busy (two: 5 min 16 s to 2 min 48 s).
    maxWorkers: availableParallelism() + 1,
  },
});
