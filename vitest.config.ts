import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/clients/**', 'test/grid/processes/**', 'node_modules/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Vitest leaves a processor free, which halves the speed of two. With one file more than processors, tests of deadlines miss theirs.
    maxWorkers: availableParallelism(),
    // Some tests are about deadlines on a real clock: on a machine that others keep busy one may need a second try, and says so.
    retry: process.env['CI'] === 'true' ? 1 : 0,
  },
});
