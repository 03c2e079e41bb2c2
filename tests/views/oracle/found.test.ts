import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { describePostgres } from '../../servers/suite.ts';
import { parseScript } from './script-case.ts';
import { runScript } from './script-run.ts';

const folder = join(import.meta.dirname, 'found');

/** Each file is the smallest case of something that was once answered wrongly; its note says what. */
describePostgres('what random views once got wrong', (database) => {
  beforeAll(loadSqlParser);

  for (const file of readdirSync(folder).toSorted()) {
    it(`stays right: ${file.replace(/\.sql$/, '').replaceAll('-', ' ')}`, async () => {
      const script = parseScript(readFileSync(join(folder, file), 'utf8'));
      const { changes } = await runScript(script, await database.connect());
      expect(changes.length).toBe(script.transactions.length);
    });
  }
});
