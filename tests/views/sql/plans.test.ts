import { beforeAll, describe, expect, it } from 'vitest';
import { inputsOf } from '../../../views/plan/columns.ts';
import { costlyJoins } from '../../../views/plan/costly-joins.ts';
import { splitCondition } from '../../../views/plan/join-keys.ts';
import type { Plan } from '../../../views/plan/plan.ts';
import { bindView, loadSqlParser } from '../../../views/sql/bind.ts';
import { fixtureCatalog } from './fixture.ts';

beforeAll(loadSqlParser);

function planOf(sql: string): Plan {
  return bindView({ name: 'v', sql, key: [], catalog: fixtureCatalog }).plan;
}

/** The operators without projections, in short: `join inner =1 (scan emp, filter (scan dept))`. */
function shape(plan: Plan): string {
  const inputs = inputsOf(plan).map(shape).join(', ');
  switch (plan.kind) {
    case 'scan':
      return `${plan.relation.split('.').at(-1) ?? ''}(${plan.columns.map(({ name }) => name).join(' ')})`;
    case 'project':
      return inputs;
    case 'join': {
      const ids = (side: Plan): Set<number> => new Set(side.columns.map(({ id }) => id));
      const { keys, residual } = splitCondition(plan.condition, ids(plan.left), ids(plan.right));
      const nulls = keys.some(({ nullsEqual }) => nullsEqual) ? ' nulls' : '';
      const keyText = keys.length === 0 ? ' crossed' : '';
      return `${plan.type}${keyText}${nulls}${residual === null ? '' : ' if'}[${inputs}]`;
    }
    case 'topN':
      return `top ${String(plan.limit)}${plan.partition.length === 0 ? '' : ' each'}[${inputs}]`;
    case 'aggregate':
      return `group${plan.keys.length === 0 ? ' all' : ''}[${inputs}]`;
    default:
      return `${plan.kind}[${inputs}]`;
  }
}

describe('a plan', () => {
  it.each([
    [
      'filters at the scan, and reads only the columns that are used',
      'SELECT id FROM emp WHERE dept = 1',
      'filter[emp(id dept)]',
    ],
    [
      'joins by equalities that WHERE has',
      'SELECT e.id, d.name FROM emp e, dept d WHERE e.dept = d.id AND d.city = $$x$$',
      'inner[emp(id dept), filter[dept(id name city)]]',
    ],
    [
      'orders joins so that none is a cross product',
      'SELECT d.id FROM dept d, pay p, emp e WHERE e.dept = d.id AND p.emp = e.id',
      'inner[inner[dept(id), emp(id dept)], pay(emp)]',
    ],
    [
      'joins through a subquery that is a cross product by itself',
      'SELECT q.d FROM (SELECT d.id AS d, p.emp AS p FROM dept d, pay p) q, emp e WHERE q.d = e.dept AND q.p = e.id',
      'inner[inner[dept(id), emp(id dept)], pay(emp)]',
    ],
    [
      'makes an outer join inner where missing rows are thrown away',
      'SELECT e.id, d.name FROM emp e LEFT JOIN dept d ON d.id = e.dept WHERE d.city = $$x$$',
      'inner[emp(id dept), filter[dept(id name city)]]',
    ],
    [
      'makes an outer join inner where a later join throws missing rows away',
      'SELECT e.id FROM emp e LEFT JOIN dept d ON d.id = e.dept JOIN pair p ON p.x = d.budget',
      'inner[inner[emp(id dept), dept(id budget)], pair(x)]',
    ],
    [
      'keeps an outer join outer where they count',
      'SELECT e.id, d.name FROM emp e LEFT JOIN dept d ON d.id = e.dept AND d.city = $$x$$ WHERE e.active',
      'left[filter[emp(id dept active)], filter[dept(id name city)]]',
    ],
    [
      'filters groups by their keys before it groups',
      'SELECT * FROM (SELECT dept, count(*) AS n FROM emp GROUP BY dept) q WHERE dept = 3 AND n > 1',
      'filter[group[filter[emp(dept)]]]',
    ],
    [
      'filters every part of a union',
      'SELECT id FROM (SELECT id FROM emp UNION ALL SELECT id FROM dept) q WHERE id > 3',
      'union[filter[emp(id)], filter[dept(id)]]',
    ],
    [
      'tests EXISTS where its table is, before other joins',
      'SELECT d.name FROM dept d JOIN emp e ON e.dept = d.id WHERE EXISTS (SELECT 1 FROM pay p WHERE p.emp = e.id)',
      'inner[dept(id name), semi[emp(id dept), pay(emp)]]',
    ],
    [
      'NOT EXISTS is an anti-join',
      'SELECT id FROM emp e WHERE NOT EXISTS (SELECT 1 FROM pay WHERE emp = e.id)',
      'anti[emp(id), pay(emp)]',
    ],
    [
      'NOT IN without NULLs is an anti-join',
      'SELECT id FROM emp WHERE id NOT IN (SELECT id FROM dept)',
      'anti[emp(id), dept(id)]',
    ],
    [
      'NOT IN with NULLs is an anti-join and two facts about the subquery',
      'SELECT id FROM emp WHERE dept NOT IN (SELECT x FROM pair)',
      'inner crossed if[anti[emp(id dept), pair(x)], group all[pair(x)]]',
    ],
    [
      'a scalar subquery by a key is a left join',
      'SELECT id, (SELECT name FROM dept WHERE dept.id = emp.dept) AS d FROM emp',
      'left[emp(id dept), dept(id name)]',
    ],
    [
      'a scalar subquery by a constant key is crossed with its one row',
      'SELECT id, (SELECT name FROM dept WHERE id = 10) AS d FROM emp',
      'left crossed[emp(id), filter[dept(id name)]]',
    ],
    [
      'a scalar aggregate is grouped once for all outer rows',
      'SELECT id, (SELECT sum(amount) FROM pay WHERE emp = e.id AND kind = $$a$$) AS s FROM emp e',
      'left[emp(id), group[filter[pay(emp amount kind)]]]',
    ],
    [
      'the first rows for each outer row are partitioned by what correlates them',
      'SELECT e.id, p.amount FROM emp e, LATERAL (SELECT amount FROM pay WHERE emp = e.id ORDER BY at LIMIT 2) p',
      'inner[emp(id), top 2 each[pay(emp amount at)]]',
    ],
    [
      'a function of the outer row expands it',
      'SELECT e.id, t FROM emp e, unnest(e.tags) AS t',
      'expand[emp(id tags)]',
    ],
    [
      'documents nest without a join of the outer rows below',
      `SELECT d.id, (SELECT json_agg(json_build_object('id', e.id, 'pay',
         (SELECT json_agg(p.amount ORDER BY p.id) FROM pay p WHERE p.emp = e.id)) ORDER BY e.id) FROM emp e WHERE e.dept = d.id) AS docs FROM dept d`,
      'left[dept(id), group[left[emp(id dept), group[pay(id emp amount)]]]]',
    ],
    ['computes outputs after LIMIT', 'SELECT lower(name) AS n FROM emp ORDER BY id LIMIT 1', 'top 1[emp(id name)]'],
    ['has its constants computed', 'SELECT id FROM emp WHERE 1 + 1 = 2 AND id > 2 * 3', 'filter[emp(id)]'],
  ])('%s', (_, sql, expected) => {
    expect(shape(planOf(sql))).toBe(expected);
  });

  it.each([
    [
      'SELECT e.id, p.id AS p FROM emp e JOIN pay p ON p.amount > e.salary',
      [{ left: ['shop.public.emp'], right: ['shop.public.pay'] }],
    ],
    ['SELECT e.id, p.id AS p FROM emp e JOIN pay p ON p.emp = e.id AND p.amount > e.salary', []],
    ['SELECT id FROM emp WHERE salary > (SELECT avg(salary) FROM emp)', []],
  ])('tells which of its joins compare every row: %s', (sql, expected) => {
    expect(costlyJoins(planOf(sql))).toEqual(expected);
  });

  it('has a CTE that is used twice once', () => {
    const plan = planOf(
      'WITH a AS (SELECT dept, count(*) AS n FROM emp GROUP BY dept) SELECT x.dept FROM a x JOIN a y ON x.n = y.n',
    );
    const groups = new Set<Plan>();
    const walk = (node: Plan): void => {
      if (node.kind === 'aggregate') groups.add(node);
      inputsOf(node).forEach(walk);
    };
    walk(plan);
    expect(groups.size).toBe(1);
  });

  it('puts rows together in the order of their key where the query gives none', () => {
    const plan = planOf('SELECT dept, array_agg(name) AS names FROM emp GROUP BY dept');
    const aggregate = plan.kind === 'aggregate' ? plan : undefined;
    const [key] = aggregate?.aggregates[0]?.order ?? [];
    const column = aggregate?.input.columns.find(
      ({ id }) => key?.expression.kind === 'column' && key.expression.id === id,
    );
    expect(column?.name).toBe('id');
  });
});
