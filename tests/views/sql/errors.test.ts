import { beforeAll, describe, expect, it } from 'vitest';
import { isTidemarkError } from '../../../base/errors.ts';
import { bindView, loadSqlParser } from '../../../views/sql/bind.ts';
import { fixtureCatalog } from './fixture.ts';

/** `^` under the SQL marks where the error has to point; then message and hint. */
const cases: readonly (readonly [sql: string, message: string, hint?: string])[] = [
  // Names.
  ['SELECT ^nmae FROM emp', 'column "nmae" does not exist', 'Did you mean name?'],
  ['SELECT ^e.nmae FROM emp e', 'column e.nmae does not exist', 'Did you mean name?'],
  ['SELECT ^"Name" FROM emp', 'column "Name" does not exist', 'Did you mean name?'],
  ['SELECT ^x.id FROM emp', 'missing FROM-clause entry for table "x"', 'Add x to FROM.'],
  ['SELECT ^emp.id FROM emp e', 'missing FROM-clause entry for table "emp"', 'Write e, the name that emp has here.'],
  ['SELECT * FROM ^epm', 'relation "epm" does not exist', 'Did you mean emp?'],
  ['SELECT * FROM ^shop.publik.emp', 'relation "shop.publik.emp" does not exist', 'Did you mean shop.public.emp?'],
  ['WITH totals AS (SELECT 1 AS a) SELECT * FROM ^total', 'relation "total" does not exist', 'Did you mean totals?'],
  ['SELECT ^id FROM emp, dept', 'column reference "id" is ambiguous', 'Write emp.id or dept.id.'],
  ['SELECT 1 AS a FROM emp, ^emp', 'table name "emp" specified more than once'],
  ['SELECT id, name, ^id FROM emp', 'column "id" specified more than once', 'Give one of them another name with AS.'],
  ['SELECT ^* FROM emp, dept', 'column "id" specified more than once'],
  ['SELECT a.x FROM ^pair AS a(x, y, z)', 'table "a" has 2 columns available but 3 columns specified'],
  [
    'SELECT 1 AS a FROM emp JOIN ^dept USING (city)',
    'column "city" specified in USING clause does not exist in left table',
  ],
  ['SELECT e.id FROM emp e, (SELECT ^e.id) q', 'missing FROM-clause entry for table "e"', 'There is a table "e"'],
  [
    'SELECT e.id FROM emp e, dept d JOIN pay p ON p.emp = ^e.id',
    'missing FROM-clause entry for table "e"',
    'There is a table "e"',
  ],
  [
    'SELECT e.id FROM emp e RIGHT JOIN LATERAL (SELECT ^e.id) q ON true',
    'the combining JOIN type must be INNER or LEFT for a LATERAL reference',
  ],
  // Types.
  ['SELECT id FROM emp WHERE ^name', 'argument of WHERE must be type boolean, not type text'],
  ['SELECT id FROM emp WHERE name ^= 5', 'operator does not exist: text = integer'],
  ['SELECT ^lower(id) FROM emp', 'function lower(integer) does not exist'],
  ['SELECT ^fold(name) FROM emp', 'function fold(text) does not exist'],
  ["SELECT ^'x'::integer", 'invalid input syntax for type integer: "x"'],
  ['SELECT id::^itneger FROM emp', 'type "itneger" does not exist'],
  ['SELECT CASE WHEN ^id THEN 1 END FROM emp', 'argument of CASE/WHEN must be type boolean, not type integer'],
  ['SELECT ^coalesce(id, name) FROM emp', 'COALESCE types integer and text cannot be matched'],
  ['SELECT id FROM emp UNION SELECT ^name FROM dept', 'UNION types integer and text cannot be matched'],
  ['SELECT id FROM emp UNION SELECT ^id, name FROM dept', 'each UNION query must have the same number of columns'],
  ['VALUES (1, 2), (^3)', 'VALUES lists must all be the same length'],
  ['SELECT ^(SELECT id, name FROM dept) FROM emp', 'subquery must return only one column'],
  ['SELECT id FROM emp WHERE ^id IN (SELECT id, name FROM dept)', 'subquery has too many columns'],
  ['SELECT id FROM emp WHERE ^(id, dept) IN (SELECT id FROM dept)', 'subquery has too few columns'],
  [
    'SELECT DISTINCT ^to_json(name) AS j FROM emp',
    'could not identify an equality operator for type json',
    'Cast it to jsonb or to text.',
  ],
  [
    'SELECT id FROM emp ORDER BY ^to_json(name)',
    'could not identify an ordering operator for type json',
    'Cast it to jsonb or to text.',
  ],
  [
    'SELECT ^ln(salary) FROM emp',
    'ln() is not supported in views: its last digits differ',
    'Compute it where the view is read',
  ],
  ['SELECT ^sin(bonus) FROM emp', 'sin() is not supported in views'],
  ['SELECT doc[^1.5] FROM emp', 'subscript type numeric is not supported'],
  // Grouping.
  [
    'SELECT dept, ^salary FROM emp GROUP BY dept',
    'column "emp.salary" must appear in the GROUP BY clause or be used in an aggregate function',
    'Add emp.salary to GROUP BY, or write max(emp.salary).',
  ],
  ['SELECT count(*) FROM emp HAVING ^salary > 1', 'column "emp.salary" must appear in the GROUP BY clause'],
  ['SELECT dept FROM emp GROUP BY dept ORDER BY ^id', 'column "emp.id" must appear in the GROUP BY clause'],
  [
    'SELECT dept FROM emp WHERE ^count(*) > 1 GROUP BY dept',
    'aggregate functions are not allowed in WHERE',
    'Use HAVING.',
  ],
  ['SELECT sum(^max(id)) FROM emp', 'aggregate function calls cannot be nested'],
  ['SELECT count(*) AS n FROM emp GROUP BY ^n', 'aggregate functions are not allowed in GROUP BY'],
  ['SELECT e.id FROM emp e JOIN dept d ON ^max(d.id) = 1', 'aggregate functions are not allowed in JOIN conditions'],
  ['SELECT id FROM emp GROUP BY ^2', 'GROUP BY position 2 is not in select list'],
  [
    'SELECT array_agg(DISTINCT id ORDER BY ^name) FROM emp',
    'in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list',
  ],
  [
    'SELECT DISTINCT ON (dept) id FROM emp ORDER BY ^id',
    'SELECT DISTINCT ON expressions must match initial ORDER BY expressions',
  ],
  [
    'SELECT DISTINCT dept FROM emp ORDER BY ^id',
    'for SELECT DISTINCT, ORDER BY expressions must appear in select list',
  ],
  ['SELECT ^lower(DISTINCT name) FROM emp', 'DISTINCT specified, but lower is not an aggregate function'],
  ['SELECT x FROM pair UNION SELECT y FROM pair ORDER BY ^x + 1', 'invalid UNION/INTERSECT/EXCEPT ORDER BY clause'],
  // Syntax.
  ['SELECT id FROM ^WHERE id = 1', 'syntax error at or near "WHERE"'],
  ["SELECT id\nFROM emp\nWHERE name = 'é' AND ^nmae = 1", 'column "nmae" does not exist'],
  ["SELECT 'é' AS a, ^nmae FROM emp", 'column "nmae" does not exist'],
  // What views do not do.
  [
    'SELECT ^row_number() OVER (ORDER BY id) FROM emp',
    'a window function (row_number OVER) is not supported in views',
    'For the first rows of each group use DISTINCT ON',
  ],
  ['^WITH RECURSIVE r AS (SELECT 1) SELECT * FROM r', 'WITH RECURSIVE is not supported in views'],
  ['SELECT dept FROM emp GROUP BY ^ROLLUP (dept)', 'grouping sets, ROLLUP and CUBE are not supported in views'],
  ['SELECT id FROM emp TABLESAMPLE ^system (10)', 'TABLESAMPLE is not supported in views'],
  ['SELECT id FROM emp ^FOR UPDATE', 'FOR UPDATE and FOR SHARE are not supported in views'],
  ['SELECT id INTO ^copy FROM emp', 'SELECT INTO is not supported in views'],
  [
    'SELECT ^now() FROM emp',
    'now() is not supported in views',
    'A view must give the same rows whenever it is computed',
  ],
  ['SELECT ^current_date FROM emp', 'the current time, date or user is not supported in views'],
  ['SELECT ^random() FROM emp', 'random() is not supported in views'],
  [
    'SELECT ^unnest(tags) FROM emp',
    'a set-returning function (unnest) outside FROM is not supported in views',
    'Move it: FROM … CROSS JOIN LATERAL unnest(…).',
  ],
  ['SELECT id FROM emp LIMIT ^(SELECT 1)', 'a subquery in LIMIT is not supported in views'],
  [
    'SELECT e.id FROM emp e LEFT JOIN dept d ON ^EXISTS (SELECT 1)',
    'a subquery in JOIN conditions is not supported in views',
  ],
  ['SELECT name ^COLLATE "de_DE" FROM emp', 'COLLATE "de_DE" is not supported in views'],
  ["SELECT name ^SIMILAR TO 'a' FROM emp", 'SIMILAR TO is not supported in views'],
  [
    'SELECT ^percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM emp',
    'WITHIN GROUP (percentile_cont) is not supported in views',
  ],
  ['SELECT id FROM emp WHERE id = ^$1', 'a parameter is not supported in views'],
  ['SELECT tags[1:2] FROM emp', 'an array slice is not supported in views'],
  ["SELECT ^json_object('a': id) FROM emp", 'JSON_OBJECT is not supported in views', 'Use json_build_object.'],
  ['^INSERT INTO emp VALUES (1)', 'a view is a SELECT, not INSERT'],
  ['^CREATE VIEW v AS SELECT 1', 'a view is a SELECT, not CREATE VIEW', 'Write the SELECT alone.'],
  ['SELECT 1 AS a; /* and */ ^SELECT 2 AS b', 'a view is one SELECT', 'Make a view of each.'],
];

/** Cases that say nothing of a place have no `^`, or one that is not checked. */
function placeOf(marked: string): { sql: string; place: string | null } {
  const at = marked.indexOf('^');
  if (at < 0) return { sql: marked, place: null };
  const before = marked.slice(0, at).split('\n');
  return { sql: marked.replace('^', ''), place: `${before.length}:${(before.at(-1) ?? '').length + 1}` };
}

function errorOf(sql: string, key: readonly string[] = []): { message: string; hint?: string } {
  try {
    bindView({ name: 'v', sql, key, catalog: fixtureCatalog });
  } catch (error) {
    if (isTidemarkError(error, 'VIEW_INVALID')) {
      return { message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
    }
    throw error;
  }
  return expect.fail('it was taken');
}

beforeAll(loadSqlParser);

describe('a view that cannot be is refused with the place and what to write', () => {
  it.each(cases.map(([sql, message, hint = '']) => [sql, message, hint] as const))('%s', (marked, message, hint) => {
    const { sql, place } = placeOf(marked);
    const error = errorOf(sql);
    if (place !== null) expect(error.message).toMatch(new RegExp(`^view v, ${place}: `));
    expect(error.message).toContain(message);
    expect(error.hint ?? '').toContain(hint);
  });

  it('an empty text', () => {
    expect(errorOf(' \n').message).toBe('view v: the SQL is empty');
  });

  it('a key that is no column of the view', () => {
    expect(errorOf('SELECT id, name FROM emp', ['idd'])).toEqual({
      message: 'view v: the key names "idd", which is not a column of the view',
      hint: 'Did you mean id?',
    });
  });
});
