import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { aggregateDefinitions } from '../../../../views/expressions/aggregates/aggregates.ts';
import { functionNames } from '../../../../views/expressions/registry.ts';
import { loadSqlParser } from '../../../../views/sql/bind.ts';
import { describePostgres } from '../../../servers/suite.ts';
import { readChapters } from './sections.ts';
import { sqlPage } from './sql-page.ts';

const page = join(import.meta.dirname, '../../../../docs/sql.md');
const examples = readChapters().flatMap(({ sections }) => sections);

describePostgres('docs/sql.md', (database) => {
  beforeAll(loadSqlParser);

  it('shows what the examples answer, in the engine as in PostgreSQL (TIDEMARK_WRITE_DOCS=1 writes it)', async () => {
    const before = readFileSync(page, 'utf8');
    const text = await sqlPage(before, await database.connect());
    if (process.env['TIDEMARK_WRITE_DOCS'] === '1') writeFileSync(page, text);
    else expect(before).toBe(text);
  }, 120_000);

  it('has an example of every function that there is', () => {
    const text = examples
      .map(({ sql }) => sql)
      .join('\n')
      .toLowerCase();
    const calls = new Set([...text.matchAll(/\b([a-z_0-9]+)\s*\(/g)].map(([, name]) => name));
    // Names with blanks are for what queries spell otherwise (`a = ANY (…)`), as is that of `a[1]`.
    const names = [...functionNames(), ...aggregateDefinitions.map(({ name }) => name)];
    expect(names.filter((name) => !name.includes(' ') && !calls.has(name) && name !== 'array_subscript')).toEqual([]);
  });
});
