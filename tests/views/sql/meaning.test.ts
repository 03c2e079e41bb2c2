import type { Client } from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { messageOf } from '../../../base/errors.ts';
import { textOf } from '../../../views/expressions/text.ts';
import type { BoundView } from '../../../views/plan/plan.ts';
import { bindView, loadSqlParser } from '../../../views/sql/bind.ts';
import { typeName } from '../../../views/type.ts';
import { describePostgres } from '../../servers/suite.ts';
import { evaluate } from '../operators/definition.ts';
import { difference, RowBag } from '../oracle/bag.ts';
import { fixtureCatalog, fixtureRows, fixtureSql } from './fixture.ts';
import { queries } from './queries.ts';

describePostgres('the plan of a query', (database) => {
  let client: Client;
  let typeNames: ReadonlyMap<number, string>;

  beforeAll(async () => {
    await loadSqlParser();
    client = await database.connect();
    await client.query(`SET TimeZone = 'UTC'`);
    await database.query(fixtureSql());
    const types = await database.query('SELECT oid::text, format_type(oid, NULL) AS name FROM pg_type');
    typeNames = new Map(types.map(({ oid, name }) => [Number(oid), name ?? '']));
  });

  describe('means what PostgreSQL takes it for', () => {
    it.each(queries)('%s', async (sql) => {
      const { rows, fields } = await client.query<(string | null)[]>({ text: sql, rowMode: 'array' });
      const view = bindView({ name: 'v', sql, key: [], catalog: fixtureCatalog });
      const columns = view.columns.map(({ name, type }) => `${name} ${typeName(type)}`);
      expect(columns).toEqual(fields.map((field) => `${field.name} ${typeNames.get(field.dataTypeID) ?? '?'}`));
      const expected = RowBag.of(rows);
      const actual = RowBag.of(answer(view));
      if (!expected.equals(actual)) expect.fail(difference(expected, actual));
    });
  });

  it('fails for the row whose scalar subquery gives two rows, and for no other', async () => {
    const sql = `SELECT id, (SELECT kind FROM pay WHERE emp = e.id) AS k FROM emp e`;
    const two = ['1', '2', '5'];
    await expect(client.query(sql)).rejects.toThrow('more than one row returned by a subquery');
    const good = `${sql} WHERE id NOT IN (${two.join()})`;
    const { rows } = await client.query<(string | null)[]>({ text: good, rowMode: 'array' });
    const view = bindView({ name: 'v', sql, key: [], catalog: fixtureCatalog });
    expect(difference(RowBag.of(rows), RowBag.of(answer(view)))).toBe(
      `${rows.length} rows expected, ${rows.length} there`,
    );
  });
});

function answer(view: BoundView): (string | null)[][] {
  try {
    const rows = evaluate(view.plan, fixtureRows);
    return rows.map((row) =>
      view.columns.map(({ type }, at) => {
        const value = row[at] ?? null;
        return value === null ? null : textOf(value, type);
      }),
    );
  } catch (error) {
    return expect.fail(messageOf(error));
  }
}
