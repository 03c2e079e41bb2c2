import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { loadSqlParser } from '../../../../views/sql/bind.ts';
import { DiskStore } from '../../../../views/state/disk.ts';
import { MemoryStore } from '../../../../views/state/memory.ts';
import { removeDirectory } from '../../../servers/process.ts';
import { connectTo, describePostgresServer } from '../../../servers/suite.ts';
import { tpchQueries } from './queries.ts';
import { runTpch } from './run.ts';

/** One for which every query has rows at this scale. */
const seed = Number(process.env['TIDEMARK_VIEWS_SEED'] ?? 827841);
const names = Object.keys(tpchQueries);

// A server of its own: nobody else's slot has to wait for these transactions.
describePostgresServer('the 22 queries of TPC-H', {}, (server) => {
  beforeAll(loadSqlParser);

  it(`have PostgreSQL's answers after every refresh (seed ${seed})`, async () => {
    const client = await connectTo(server().url());
    const result = await runTpch({ client, store: new MemoryStore(), scale: 0.002, seed, refreshes: 20 });
    expect(Object.fromEntries(result.refused)).toEqual({});
    expect(Object.fromEntries(result.wrong)).toEqual({});
    expect(result.passed).toEqual(names);
    expect(result.empty).toEqual([]);
  }, 120_000);

  it(`have them with state on disk (seed ${seed})`, async () => {
    const path = mkdtempSync(join(tmpdir(), 'tidemark-tpch-'));
    const store = await DiskStore.open({ path, cacheBytes: 256 * 1024 });
    try {
      const client = await connectTo(server().url());
      const result = await runTpch({ client, store, scale: 0.001, seed, refreshes: 8 });
      expect(Object.fromEntries(result.wrong)).toEqual({});
      expect(result.passed.length).toBe(names.length);
    } finally {
      await store.close();
      removeDirectory(path);
    }
  }, 120_000);
});
