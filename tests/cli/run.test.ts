import { expect, test } from 'vitest';
import { folder, start, tidemark, until } from './harness.ts';

const file = (sinks: string): string => `
version: 1
name: shop
sources:
  shop: { type: postgres, url: "postgres://app@127.0.0.1:9/shop", tables: [public.customers] }
sinks:
${sinks}
http: { port: 0 }
`;

test('SIGTERM stops a service at once whose sinks and source cannot be reached', async () => {
  const directory = await folder(
    file(`  lost: { type: sqlite, path: /proc/tidemark/search.db, from: customers }
  gone: { type: ndjson, path: /proc/tidemark/feed.ndjson, from: customers }`),
  );
  const run = start(directory, ['run']);
  await until('both fail', () => /cannot be made/.test(run.stderr()) && /ECONNREFUSED/.test(run.stderr()));
  const status = await tidemark(directory, ['status', '--json']);
  expect(status.code, status.stderr).toBe(0);
  expect(JSON.parse(status.stdout)).toMatchObject({
    sinks: [
      {
        name: 'lost',
        error: {
          code: 'SINK_FAILED',
          message: expect.stringContaining('The folder /proc/tidemark cannot be made: ENOENT'),
          hint: expect.stringContaining('another `path`'),
        },
      },
      { name: 'gone' },
    ],
  });
  // A source that was never reached has read nothing yet.
  const { stdout } = await tidemark(directory, ['status']);
  expect(stdout).toMatch(/^shop +postgres +- +- +- +SOURCE_UNREACHABLE$/m);
  const before = performance.now();
  run.child.kill('SIGTERM');
  expect((await run.ended).code).toBe(143);
  expect(performance.now() - before).toBeLessThan(5_000);
});
