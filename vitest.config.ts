import { defineConfig } from 'vitest/config';

// oxlint-disable-next-line import/no-default-export -- vitest reads its configuration from the default export
export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: ['tests/global-setup.ts'],
    setupFiles: ['tests/seed.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // For a machine that is five times as slow, or as busy: a test that hangs is told late, and none fails for want of time.
    testTimeout: 240_000,
    hookTimeout: 300_000,
  },
});
