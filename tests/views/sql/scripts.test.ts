import { beforeAll, describe, expect, it } from 'vitest';
import { messageOf } from '../../../base/errors.ts';
import type { BoundView } from '../../../views/plan/plan.ts';
import { bindScript, bindView, bindViews, loadSqlParser } from '../../../views/sql/bind.ts';
import { catalogOf } from '../../../views/sql/catalog.ts';
import { nearest, quoted } from '../../../views/sql/nearest.ts';
import { textPlace } from '../../../views/sql/text-place.ts';
import { sqlScalar } from '../../../views/type.ts';
import { fixtureCatalog } from './fixture.ts';

beforeAll(loadSqlParser);

const catalog = fixtureCatalog;

function names(views: readonly BoundView[]): string[] {
  return views.map(({ name, columns }) => `${name}(${columns.map((column) => column.name).join(', ')})`);
}

function failure(bind: () => unknown): string {
  try {
    bind();
  } catch (error) {
    return messageOf(error);
  }
  return expect.fail('it was taken');
}

describe('a script', () => {
  it('is one SELECT, which is the view', () => {
    expect(names(bindScript({ name: 'out', sql: 'SELECT id FROM emp', key: ['id'], catalog }))).toEqual(['out(id)']);
  });

  it('is CREATE VIEW statements that use one another; the last is the result', () => {
    const sql = `
      CREATE VIEW a(k, n) AS SELECT dept, count(*) FROM emp GROUP BY dept;
      -- the largest
      CREATE VIEW b AS SELECT max(n) AS m FROM a;
      SELECT a.k FROM a JOIN b ON a.n = b.m`;
    expect(names(bindScript({ name: 'out', sql, key: [], catalog }))).toEqual(['a(k, n)', 'b(m)', 'out(k)']);
  });

  it.each([
    ['CREATE VIEW a AS SELECT 1 AS x; CREATE VIEW a AS SELECT 2 AS x', 'view out, 1:45: relation "a" already exists'],
    ['SELECT 1 AS x; SELECT 2 AS x', 'view out, 1:1: a view is a SELECT, not SELECT'],
    ['CREATE TABLE t (id int)', 'view out, 1:1: a view is a SELECT, not CREATE'],
    ['CREATE VIEW a(x, y) AS SELECT 1', 'view out: CREATE VIEW specifies more column names than columns'],
  ])('that cannot be is refused: %s', (sql, message) => {
    expect(failure(() => bindScript({ name: 'out', sql, key: [], catalog }))).toContain(message);
  });
});

describe('views of one file', () => {
  it('may use one another in any order', () => {
    const views = [
      { name: 'top', sql: 'SELECT m FROM middle JOIN base ON n = m', key: [] },
      { name: 'middle', sql: 'SELECT max(n) AS m FROM base', key: [] },
      { name: 'base', sql: 'SELECT dept, count(*) AS n FROM emp GROUP BY dept', key: ['dept'] },
    ];
    expect(names(bindViews(views, catalog))).toEqual(['base(dept, n)', 'middle(m)', 'top(m)']);
  });

  it('may have a CTE of the name of another', () => {
    const views = [
      { name: 'a', sql: 'WITH b AS (SELECT 1 AS x) SELECT x FROM b', key: [] },
      { name: 'b', sql: 'SELECT x FROM a', key: [] },
    ];
    expect(names(bindViews(views, catalog))).toEqual(['a(x)', 'b(x)']);
  });

  it('may not use one another in a circle', () => {
    const views = [
      { name: 'a', sql: 'SELECT * FROM b', key: [] },
      { name: 'b', sql: 'SELECT * FROM c', key: [] },
      { name: 'c', sql: 'SELECT * FROM b', key: [] },
    ];
    expect(failure(() => bindViews(views, catalog))).toBe('views use one another in a circle: b → c → b');
  });
});

describe('a relation', () => {
  const column = { name: 'id', type: sqlScalar('int4'), nullable: false };
  const two = catalogOf(
    ['shop.public.orders', 'erp.public.orders', 'erp.public.items', 'views.totals', 'shop.Sales.Orders'].map(
      (relation) => ({
        relation,
        columns: [column],
        key: [0],
      }),
    ),
  );
  const bind = (sql: string): readonly string[] => names([bindView({ name: 'v', sql, key: [], catalog: two })]);

  it.each([
    'shop.public.orders',
    'public.items',
    'items',
    'totals',
    '"Orders"',
    '"Sales"."Orders"',
    'erp.public.orders AS o',
  ])('is found by any unambiguous suffix of its name: %s', (from) => {
    expect(bind(`SELECT id FROM ${from}`)).toEqual(['v(id)']);
  });

  it('is not guessed where a suffix is ambiguous', () => {
    expect(failure(() => bind('SELECT id FROM public.orders'))).toBe(
      'view v, 1:16: relation "public.orders" is ambiguous',
    );
  });
});

describe('a place in a text', () => {
  it('is in lines and characters, whatever the bytes', () => {
    const text = 'é\n€𝄞x\ny';
    expect(textPlace(text, 0)).toEqual({ line: 1, column: 1 });
    expect(textPlace(text, Buffer.byteLength('é\n€𝄞'))).toEqual({ line: 2, column: 3 });
    expect(textPlace(text, Buffer.byteLength(text))).toEqual({ line: 3, column: 2 });
  });
});

describe('the name that was meant', () => {
  it.each([
    ['stauts', ['status', 'state'], 'status'],
    ['Status', ['status'], 'status'],
    ['x', ['y'], undefined],
    ['completely_else', ['status'], undefined],
    ['custmer_id', ['id', 'customer_id', 'customer_ids'], 'customer_id'],
  ])('%s', (written, known, meant) => {
    expect(nearest(written, known)).toBe(meant);
  });

  it('is quoted where SQL needs it', () => {
    expect(quoted('shop.Public.my "t"')).toBe('shop."Public"."my ""t"""');
  });
});
