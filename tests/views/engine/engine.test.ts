import { beforeAll, describe, expect, it } from 'vitest';
import { buildEngine } from '../../../views/plan/lower.ts';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { MemoryStore } from '../../../views/state/memory.ts';
import type { Change } from './tables.ts';
import { bind, step } from './tables.ts';

const docs = `
  SELECT o.id, o.status, c.name AS customer,
         json_agg(json_build_object('sku', l.sku, 'qty', l.qty) ORDER BY l.line_no) AS lines
  FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN order_lines l ON l.order_id = o.id
  GROUP BY o.id, o.status, c.name`;

beforeAll(async () => {
  await loadSqlParser();
});

function engineOf(sql: Record<string, string>, store = new MemoryStore()): ReturnType<typeof buildEngine> {
  return buildEngine(bind(sql), store);
}

const shop: readonly Change[] = [
  ['customers', 1, 1, 'Ada'],
  ['orders', 1, 10, 1, 'new', null],
  ['orders', 1, 11, 1, 'paid', null],
];

describe('a step', () => {
  it('gives a document once when ten thousand of its lines change', () => {
    const engine = engineOf({ 'docs(id)': docs });
    step(engine, shop);
    const lines = Array.from({ length: 10_000 }, (_, line): Change => ['order_lines', 1, 10, line, `sku-${line}`, 1]);
    const added = step(engine, lines);
    expect(added['docs']?.map((text) => text.slice(0, 16))).toEqual(['+1 [10,"new","Ad', '-1 [10,"new","Ad']);
    expect(added['docs']?.[0]?.split('sku-')).toHaveLength(10_001);
    const updated = lines.flatMap(([table, , ...row]): Change[] => [
      [table, -1, ...row],
      [table, 1, ...row.slice(0, 3), 2],
    ]);
    expect(step(engine, updated)['docs']).toHaveLength(2);
  });

  it('changes both documents when a line moves from one to the other', () => {
    const engine = engineOf({ 'docs(id)': docs });
    step(engine, [...shop, ['order_lines', 1, 10, 1, 'tea', 2]]);
    expect(
      step(engine, [
        ['order_lines', -1, 10, 1, 'tea', 2],
        ['order_lines', 1, 11, 1, 'tea', 2],
      ])['docs'],
    ).toEqual([
      '+1 [10,"new","Ada","[{\\"sku\\" : null, \\"qty\\" : null}]"]',
      '+1 [11,"paid","Ada","[{\\"sku\\" : \\"tea\\", \\"qty\\" : 2}]"]',
      '-1 [10,"new","Ada","[{\\"sku\\" : \\"tea\\", \\"qty\\" : 2}]"]',
      '-1 [11,"paid","Ada","[{\\"sku\\" : null, \\"qty\\" : null}]"]',
    ]);
  });

  it('says nothing when the answer stays as it was', () => {
    const engine = engineOf({
      sums: 'SELECT order_id, sum(qty) AS qty FROM order_lines GROUP BY order_id',
      'docs(id)': docs,
    });
    step(engine, [...shop, ['order_lines', 1, 10, 1, 'tea', 2], ['order_lines', 1, 10, 2, 'tin', 1]]);
    const swapped = step(engine, [
      ['order_lines', -1, 10, 1, 'tea', 2],
      ['order_lines', 1, 10, 1, 'tea', 1],
      ['order_lines', -1, 10, 2, 'tin', 1],
      ['order_lines', 1, 10, 2, 'tin', 2],
    ]);
    expect(Object.keys(swapped)).toEqual(['docs']);
    const unused = step(engine, [
      ['orders', -1, 10, 1, 'new', null],
      ['orders', 1, 10, 1, 'new', 'a note that no view shows'],
    ]);
    expect(unused).toEqual({});
    const thereAndBack = step(engine, [
      ['order_lines', 1, 11, 1, 'tea', 1],
      ['order_lines', -1, 11, 1, 'tea', 1],
    ]);
    expect(thereAndBack).toEqual({});
  });

  it('gives the row of an aggregate over everything from the first step on, and not before', () => {
    const engine = engineOf({
      n: 'SELECT count(*) AS n, max(qty) AS most FROM order_lines',
      m: 'SELECT n + 1 AS m FROM n',
    });
    expect(step(engine, [])).toEqual({ n: ['+1 [0,null]'], m: ['+1 [1]'] });
    expect(step(engine, [])).toEqual({});
    expect(step(engine, [['order_lines', 1, 1, 1, 'tea', 3]])).toEqual({
      n: ['+1 [1,3]', '-1 [0,null]'],
      m: ['+1 [2]', '-1 [1]'],
    });
  });
});

describe('views of one engine', () => {
  it('share what they have in common, whatever they call it', () => {
    const apart = (sql: Record<string, string>) => engineOf(sql).nodes.filter(({ kind }) => kind !== 'output').length;
    const one = 'SELECT c.name, count(*) AS n FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY c.name';
    const same =
      'SELECT who.name AS x, count(*) AS y FROM orders AS o JOIN customers AS who ON who.id = o.customer_id GROUP BY 1';
    expect(apart({ one, same })).toBe(apart({ one }));
    expect(apart({ one, other: one.replace('count(*)', 'count(c.name)') })).toBe(apart({ one }) + 1);
  });

  it('look up one arrangement for all joins on one key', () => {
    const engine = engineOf({
      statuses: 'SELECT c.name, o.status FROM customers c JOIN orders o ON o.customer_id = c.id',
      both: 'SELECT a.id, b.id AS other FROM orders a JOIN orders b ON a.customer_id = b.customer_id AND a.status = b.status',
      lonely: 'SELECT c.name FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.id IS NULL',
    });
    const byCustomer = engine.nodes.filter(({ kind, detail }) => kind === 'arrange' && /\bid\b/.test(detail));
    expect(byCustomer.map(({ detail }) => detail)).toEqual(['by (id)']);
  });

  it('read each other, through a key that is checked too', () => {
    const engine = engineOf({
      'named(name)': 'SELECT name, id FROM customers',
      counts: 'SELECT count(*) AS n FROM named',
    });
    expect(
      step(engine, [
        ['customers', 1, 1, 'Ada'],
        ['customers', 1, 2, 'Ada'],
      ]),
    ).toEqual({
      named: ['+1 ["Ada",1]'],
      counts: ['+1 [1]'],
    });
  });

  it('are found again in state by what they compute, and not when that changes', () => {
    const states = (sql: string) => engineOf({ v: sql }).nodes.flatMap((node) => node.states.map(({ name }) => name));
    const before = states('SELECT status, count(*) AS n FROM orders GROUP BY status');
    expect(states('SELECT o.status AS s, count(*) AS how_many FROM orders o GROUP BY o.status')).toEqual(before);
    expect(states('SELECT status, count(*) AS n FROM orders WHERE id > 0 GROUP BY status')).not.toEqual(before);
    expect(states('SELECT status, count(id) AS n FROM orders GROUP BY status')).not.toEqual(before);
  });

  it('go on from the state that another engine left', () => {
    const store = new MemoryStore();
    step(engineOf({ 'docs(id)': docs }, store), [...shop, ['order_lines', 1, 10, 1, 'tea', 2]]);
    const again = engineOf({ 'docs(id)': docs }, store);
    expect(step(again, [])).toEqual({});
    expect(
      step(again, [
        ['order_lines', -1, 10, 1, 'tea', 2],
        ['customers', -1, 1, 'Ada'],
      ])['docs'],
    ).toEqual([
      '-1 [10,"new","Ada","[{\\"sku\\" : \\"tea\\", \\"qty\\" : 2}]"]',
      '-1 [11,"paid","Ada","[{\\"sku\\" : null, \\"qty\\" : null}]"]',
    ]);
  });
});

describe('a key that two rows have', () => {
  const named = { 'named(name)': 'SELECT name, id FROM customers' };

  it('is an error that names both, until one of them goes', () => {
    const engine = engineOf(named);
    expect(step(engine, [['customers', 1, 1, 'Ada']])).toEqual({ named: ['+1 ["Ada",1]'] });
    expect(step(engine, [['customers', 1, 2, 'Ada']])).toEqual({});
    expect(engine.violations).toMatchObject([{ view: 'named', key: ['Ada'], weight: 1, error: { code: 'VIEW_KEY' } }]);
    expect(engine.violations[0]?.error.message).toBe(
      "view named: two rows have the key (name): ('Ada', 1) and ('Ada', 2)",
    );
    expect(step(engine, [])).toEqual({});
    expect(engine.violations).toEqual([]);
    expect(step(engine, [['customers', -1, 1, 'Ada']])).toEqual({ named: ['+1 ["Ada",2]', '-1 ["Ada",1]'] });
    expect(engine.violations).toMatchObject([{ weight: -1 }]);
  });

  it('is none when it is repaired in the same step', () => {
    const engine = engineOf(named);
    step(engine, [['customers', 1, 1, 'Ada']]);
    const changed = step(engine, [
      ['customers', 1, 2, 'Ada'],
      ['customers', -1, 1, 'Ada'],
    ]);
    expect(changed).toEqual({ named: ['+1 ["Ada",2]', '-1 ["Ada",1]'] });
    expect(engine.violations).toEqual([]);
  });

  it('is not looked for where the query rules it out', () => {
    const checked = (sql: Record<string, string>) =>
      engineOf(sql).nodes.flatMap(({ kind, states }) => (kind === 'output' && states.length > 0 ? [kind] : []));
    expect(checked({ 'docs(id)': docs })).toEqual([]);
    expect(checked({ 'v(id)': 'SELECT id, status FROM orders WHERE id > 3' })).toEqual([]);
    expect(
      checked({ 'v(id)': 'SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON c.id = o.customer_id' }),
    ).toEqual([]);
    expect(checked({ 'v(status)': 'SELECT status, max(id) FROM orders GROUP BY status' })).toEqual([]);
    expect(checked({ 'v(customer_id)': 'SELECT id, customer_id FROM orders' })).toEqual(['output']);
    expect(checked({ 'v(id)': 'SELECT o.id, l.sku FROM orders o JOIN order_lines l ON l.order_id = o.id' })).toEqual([
      'output',
    ]);
    expect(
      checked({ 'v(id)': docs.replace('GROUP BY o.id, o.status, c.name', 'GROUP BY o.id, o.status, c.name, l.sku') }),
    ).toEqual(['output']);
  });
});

describe('a row that cannot be evaluated', () => {
  const shares = { shares: 'SELECT order_id, line_no, 12 / qty AS share FROM order_lines' };

  it('is left out, told with its view, and taken back when it goes', () => {
    const engine = engineOf(shares);
    const changed = step(engine, [
      ['order_lines', 1, 1, 1, 'tea', 3],
      ['order_lines', 1, 1, 2, 'tin', 0],
    ]);
    expect(changed).toEqual({ shares: ['+1 [1,1,4]'] });
    expect(engine.rejections).toMatchObject([
      { views: ['shares'], weight: 1, error: { sqlState: '22012', message: 'division by zero' } },
    ]);
    expect(step(engine, [['order_lines', -1, 1, 2, 'tin', 0]])).toEqual({});
    expect(engine.rejections).toMatchObject([{ views: ['shares'], weight: -1 }]);
  });

  it('is not told when it came and went in one step', () => {
    const engine = engineOf(shares);
    step(engine, [
      ['order_lines', 1, 1, 2, 'tin', 0],
      ['order_lines', -1, 1, 2, 'tin', 0],
    ]);
    expect(engine.rejections).toEqual([]);
  });
});
