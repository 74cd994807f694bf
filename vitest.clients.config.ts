import { defineConfig } from 'vitest/config';

/** Real clients against the real server, one file after the other: two cores are shared with the clients. */
export default defineConfig({
  test: {
    include: ['test/clients/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 120_000,
  },
});
