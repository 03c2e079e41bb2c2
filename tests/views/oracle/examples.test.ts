import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { isTidemarkError } from '../../../base/errors.ts';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { describePostgres } from '../../servers/suite.ts';
import { parseScript } from './script-case.ts';
import { bindScriptCase, runScript } from './script-run.ts';

const folder = join(import.meta.dirname, 'examples');

function example(name: string): ReturnType<typeof parseScript> {
  return parseScript(readFileSync(join(folder, `${name}.sql`), 'utf8'));
}

describePostgres('an example of views', (database) => {
  beforeAll(loadSqlParser);

  for (const file of readdirSync(folder).toSorted()) {
    it(`equals the query after every transaction: ${file.replace(/\.sql$/, '').replaceAll('-', ' ')}`, async () => {
      const script = example(file.replace(/\.sql$/, ''));
      const { changes, violations, rejections } = await runScript(script, await database.connect());
      expect(changes.some((change) => change.size > 0)).toBe(true);
      expect([...violations, ...rejections]).toEqual([]);
    });
  }

  it('gives a document once a step, and both when a child moves between parents', async () => {
    const { changes } = await runScript(example('three-levels'), await database.connect());
    const ids = changes.map((change) =>
      (change.get('documents') ?? []).map(({ weight, row }) => `${weight > 0 ? '+' : '-'}${row[0]}`).toSorted(),
    );
    expect(ids[1]).toEqual(['+1', '-1']);
    expect(ids[2]).toEqual(['+1', '+2', '-1', '-2']);
  });

  it('says nothing of rows that stay as they were', async () => {
    const { changes } = await runScript(example('orders-payments'), await database.connect());
    expect((changes[1]?.get('balances') ?? []).map(({ row }) => row[0])).toEqual(['1', '1']);
    expect(changes[4]?.has('strays')).toBe(false);
  });
});

const shop = `--- tables
CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int, s text NOT NULL);
CREATE TABLE u (id int PRIMARY KEY, t_id int NOT NULL);
`;

describePostgres('a row that cannot be evaluated', (database) => {
  beforeAll(loadSqlParser);

  it('goes to the dead letters and back, and the rest of the view goes on', async () => {
    const script = parseScript(`${shop}
--- view v key id
SELECT id, a / b AS c FROM t WHERE id > 0
--- view total
SELECT sum(c) AS total FROM v
--- transaction
INSERT INTO t VALUES (1, 10, 2, ''), (2, 7, 0, ''), (3, 9, 3, '');
--- transaction
UPDATE t SET a = 12 WHERE id = 1;
--- transaction
UPDATE t SET b = 7 WHERE id = 2;
`);
    const { changes, rejections } = await runScript(script, await database.connect(), { compare: false });
    const first = rejections.map(({ weight, error }) => `${weight} ${error.sqlState} ${error.message}`);
    expect(first).toEqual(['1 22012 division by zero', '-1 22012 division by zero']);
    expect(rejections[0]?.views.toSorted()).toEqual(['total', 'v']);
    expect(rejections[0]?.row).toContain(2);
    expect(changes[0]?.get('v')?.map(({ row }) => row.join())).toEqual(['1,5', '3,3']);
    expect(changes[1]?.get('total')?.map(({ row, weight }) => `${weight} ${row.join()}`)).toEqual(['-1 8', '1 9']);
    expect(changes[2]?.get('v')?.map(({ row, weight }) => `${weight} ${row.join()}`)).toEqual(['1 2,1']);
  });

  it('leaves the other groups as they are when a sum is out of range', async () => {
    const script = parseScript(`${shop}
--- view v
SELECT s, sum(a)::int AS total FROM t GROUP BY s
--- transaction
INSERT INTO t VALUES (1, 2000000000, 0, 'x'), (2, 1, 0, 'y');
--- transaction
INSERT INTO t VALUES (3, 2000000000, 0, 'x'), (4, 2, 0, 'y');
--- transaction
DELETE FROM t WHERE id = 1;
`);
    const { changes, rejections } = await runScript(script, await database.connect(), { compare: false });
    expect(rejections.map(({ weight, error }) => `${weight} ${error.message}`)).toEqual([
      '1 integer out of range',
      '-1 integer out of range',
    ]);
    const shown = changes.map((change) =>
      (change.get('v') ?? []).map(({ row, weight }) => `${weight} ${row.join()}`).toSorted(),
    );
    expect(shown).toEqual([['1 x,2000000000', '1 y,1'], ['-1 x,2000000000', '-1 y,1', '1 y,3'], ['1 x,2000000000']]);
  });
});

describePostgres('a key that two rows have', (database) => {
  beforeAll(loadSqlParser);

  it('is an error that names both rows, until one of them goes', async () => {
    const script = parseScript(`${shop}
--- view v key s
SELECT s, a FROM t
--- transaction
INSERT INTO t VALUES (1, 10, 0, 'x'), (2, 20, 0, 'y');
--- transaction
INSERT INTO t VALUES (3, 30, 0, 'x');
--- transaction
DELETE FROM t WHERE id = 1;
`);
    const { violations, changes } = await runScript(script, await database.connect(), { compare: false });
    expect(violations.map(({ weight, error }) => `${weight} ${error.code}`)).toEqual(['1 VIEW_KEY', '-1 VIEW_KEY']);
    expect(violations[0]?.error.message).toMatch(/10/);
    expect(violations[0]?.error.message).toMatch(/30/);
    const last = changes.map((change) =>
      (change.get('v') ?? []).map(({ row, weight }) => `${weight} ${row.join()}`).toSorted(),
    );
    expect(last.slice(1)).toEqual([[], ['-1 x,10', '1 x,30']]);
  });
});

describe('a view that is not taken', () => {
  beforeAll(loadSqlParser);

  const refusals: readonly (readonly [what: string, sql: string, message: RegExp, hint: RegExp])[] = [
    ['an unknown column', 'SELECT id,\n  t_idd FROM u', /v, 2:3: column "t_idd" does not exist/, /Did you mean t_id/],
    [
      'an ambiguous name',
      'SELECT id FROM t JOIN u ON u.t_id = t.id',
      /1:8: column reference "id" is ambiguous/,
      /t\.id|u\.id/,
    ],
    ['an unknown table', 'SELECT 1 FROM tt', /1:15: relation "tt" does not exist/, /t/],
    [
      'operands that do not fit',
      "SELECT a + date '2024-01-01' || 1.5 + true FROM t",
      /1:\d+: operator does not exist/,
      /./,
    ],
    [
      'branches of two types',
      'SELECT CASE WHEN a > 1 THEN a ELSE s END FROM t',
      /1:\d+: CASE types (text|integer) and (text|integer) cannot be matched/,
      /.?/,
    ],
    [
      'a condition that is none',
      'SELECT id FROM t WHERE a',
      /1:24: argument of WHERE must be type boolean, not type integer/,
      /.?/,
    ],
    [
      'a column outside of the groups',
      'SELECT a, b FROM t GROUP BY a',
      /1:11: column "t\.b" must appear in the GROUP BY clause/,
      /.?/,
    ],
    ['a window function', 'SELECT rank() OVER (ORDER BY a) FROM t', /1:8: .*window/, /DISTINCT ON|LATERAL/],
    ['the current time', 'SELECT id FROM t WHERE now() > current_timestamp', /1:24: now\(\)/, /./],
    ['what is not SQL', 'SELECT id FRM t WHERE', /1:\d+: syntax error/, /.?/],
    ['what is no SELECT', 'DELETE FROM t', /1:1: /, /SELECT/],
  ];
  for (const [what, sql, message, hint] of refusals) {
    it(`tells the place and what to write: ${what}`, async () => {
      const script = parseScript(`${shop}--- view v\n${sql}\n`);
      const error: unknown = await bindScriptCase(script).catch((thrown: unknown) => thrown);
      if (!isTidemarkError(error, 'VIEW_INVALID')) throw new Error(`${sql} is taken`, { cause: error });
      expect(error.message).toMatch(message);
      expect(error.hint ?? '').toMatch(hint);
    });
  }

  it('tells a key that the view does not have', async () => {
    const script = parseScript(`${shop}--- view v key ids\nSELECT id FROM t\n`);
    const error: unknown = await bindScriptCase(script).catch((thrown: unknown) => thrown);
    if (!isTidemarkError(error, 'VIEW_INVALID')) throw new Error('the key is taken', { cause: error });
    expect(error.message).toMatch(/ids/);
  });
});
