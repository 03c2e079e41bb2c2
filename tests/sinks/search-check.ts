import { expect, it } from 'vitest';
import type { CheckResult } from '../../model/source.ts';
import { checkSearch } from '../../sinks/search/check.ts';
import type { SearchSinkOptions } from '../../sinks/options.ts';
import { freePort } from '../servers/process.ts';
import type { SearchSuite } from '../servers/search-suite.ts';
import { table } from './harness.ts';
import { SearchFixture } from './search-harness.ts';

const rows = table('checked', { id: 'int8' });

/** What `check` says of a sink before it runs. */
export function checkTests(suite: SearchSuite): void {
  it('is checked before it runs, and nothing is left of that', async () => {
    const fixture = await SearchFixture.create(suite, rows);
    try {
      const { options } = fixture;
      expect(await complaints(options, fixture.deployment)).toEqual([]);
      expect((await suite.request('HEAD', `/${options.index}-check`)).status).toBe(404);
      expect((await suite.request('HEAD', `/.tidemark-${fixture.deployment}`)).status).toBe(404);

      const mapping = { id: { type: 'no_such_type' } };
      expect(await complaints({ ...options, mapping }, fixture.deployment)).toEqual(['error search: mapping']);
      const gone = `http://127.0.0.1:${await freePort()}`;
      expect(await complaints({ ...options, url: gone }, fixture.deployment)).toEqual(['error search: url']);

      fixture.feeder.upsert(rows, { id: '1' }).commitConsistent(rows);
      fixture.run();
      await fixture.searchable();
      expect(await complaints(options, fixture.deployment)).toEqual([]);
      // Another deployment finds the alias taken, and one that differs in capitals the record.
      expect(await complaints(options, `${fixture.deployment}x`)).toEqual(['error search: index']);
      const capital = fixture.deployment.toUpperCase();
      expect(await complaints(options, capital)).toEqual(['error search: index', 'error search: position']);
      fixture.feeder.upsert(rows, { id: '2' }).commit();
      await fixture.searchable();
      expect((await fixture.contents()).size).toBe(2);
    } finally {
      await fixture.close();
    }
  });
}

async function complaints(options: SearchSinkOptions, deployment: string): Promise<string[]> {
  const results: CheckResult[] = [];
  for await (const result of checkSearch(options, deployment)) results.push(result);
  const found = results.filter(({ level }) => level !== 'ok');
  for (const { message } of found) expect(message).not.toMatch(/not answer: .*(?:Timeout|TIMEOUT)/);
  return found.map(({ level, subject }) => `${level} ${subject}`);
}
