import { beforeAll, describe, expect, it } from 'vitest';
import { explain, explanation } from '../../../views/plan/explain.ts';
import { buildEngine } from '../../../views/plan/lower.ts';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { MemoryStore } from '../../../views/state/memory.ts';
import { bind, step } from './tables.ts';

const sql = {
  'paid(id)': "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = 'paid'",
  names: 'SELECT name, count(*) AS n FROM paid GROUP BY name',
};

beforeAll(async () => {
  await loadSqlParser();
});

describe('the plan of a view', () => {
  it('is a tree of operators down to the tables, with keys and who shares them', () => {
    const views = bind(sql);
    const lines = explain(views, null).split('\n');
    const [paid = ''] = lines;
    expect(paid).toMatch(/^#\d+ output view paid key \(id\)$/);
    expect(lines.some((line) => /└─ #\d+ input shop\.public\.orders.*\[shared with names\]/.test(line))).toBe(true);
    expect(lines.some((line) => /join inner on customer_id = id/.test(line))).toBe(true);
    expect(lines.some((line) => /arrange by \(customer_id\)/.test(line))).toBe(true);
    expect(lines.some((line) => line.includes('(see above)'))).toBe(true);
    expect(lines.some((line) => line.includes('KiB'))).toBe(false);
  });

  it('tells what a change of each table leads to', () => {
    const text = explain(bind(sql), null);
    const ofCustomers = text.slice(text.indexOf('a changed row of shop.public.customers'));
    expect(ofCustomers).toMatch(/join: looks up #\d+ by \(customer_id\)/);
    expect(ofCustomers).toMatch(/aggregate: one group, its totals/);
  });

  it('has the sizes of states while it runs', () => {
    const views = bind(sql);
    const engine = buildEngine(views, new MemoryStore());
    step(engine, [
      ['customers', 1, 1, 'Ada'],
      ['orders', 1, 10, 1, 'paid', null],
      ['orders', 1, 11, 1, 'paid', null],
      ['orders', 1, 12, 1, 'new', null],
    ]);
    const { operators } = explanation(views, engine);
    const rows = operators.flatMap(({ kind, states }) => (kind === 'arrange' ? states.map((state) => state.rows) : []));
    expect(rows.map(Number).toSorted((a, b) => a - b)).toEqual([1, 2]);
    expect(operators.every(({ states }) => states.every(({ bytes }) => (bytes ?? 0) > 0))).toBe(true);
    expect(explain(views.slice(0, 1), engine)).toMatch(
      /arrange by \(customer_id\) {2}\[2 rows, \d+ B; shared with names\]/,
    );
  });
});
