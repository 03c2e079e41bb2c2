import { beforeAll, describe, expect, it } from 'vitest';
import { isTidemarkError } from '../../../base/errors.ts';
import { catalogOf } from '../../../views/sql/catalog.ts';
import { bindView, loadSqlParser } from '../../../views/sql/bind.ts';
import { sqlScalar } from '../../../views/type.ts';
import type { SqlType } from '../../../views/type.ts';

const mood: SqlType = { kind: 'scalar', name: 'other', declared: 'mood' };
const catalog = catalogOf([
  {
    relation: 'shop.public.t',
    columns: [
      { name: 'id', type: sqlScalar('int4'), nullable: false },
      { name: 'm', type: mood, nullable: true },
      { name: 'ms', type: { kind: 'array', element: mood, delimiter: ',' }, nullable: true },
    ],
    key: [0],
  },
]);

function refusal(sql: string): { message: string; hint: string | undefined } | null {
  try {
    bindView({ name: 'v', sql, key: [], catalog });
    return null;
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return { message: error.message, hint: error.hint };
  }
}

/** PostgreSQL orders an enum by its labels' places, which a source does not tell: their texts would be another order. */
describe('an enum', () => {
  beforeAll(loadSqlParser);

  for (const sql of [
    'SELECT id FROM t ORDER BY m',
    'SELECT id FROM t ORDER BY m LIMIT 1',
    'SELECT id FROM t ORDER BY ms',
    'SELECT id FROM t ORDER BY t',
    'SELECT max(m) AS x FROM t',
    'SELECT min(ms) AS x FROM t',
    "SELECT id FROM t WHERE m < 'sad'",
    "SELECT id FROM t WHERE m BETWEEN 'a' AND 'b'",
    'SELECT id FROM t WHERE m > ANY (ms)',
    'SELECT id FROM t WHERE m <= ALL (ms)',
    'SELECT id FROM t WHERE ms < ms',
    'SELECT a.id FROM t a, t b WHERE a < b',
    'SELECT id FROM t WHERE ROW(m, 1) < ROW(m, 2)',
    "SELECT greatest(m, 'sad') AS x FROM t",
    'SELECT least(m, m) AS x FROM t',
    'SELECT array_agg(id ORDER BY m) AS x FROM t',
    'SELECT array_agg(DISTINCT m) AS x FROM t',
    'SELECT json_agg(DISTINCT ms) AS x FROM t',
    'SELECT DISTINCT ON (m) m, id FROM t ORDER BY m, id',
  ]) {
    it(`is never put in the order of its texts: ${sql}`, () => {
      const refused = refusal(sql);
      expect(refused?.message).toMatch(
        /^view v, 1:\d+: could not identify (a comparison function|an ordering operator) for type mood$/,
      );
      expect(refused?.hint).toContain('x::text');
    });
  }

  it('is compared for equality, grouped, counted, and ordered as text where that is asked for', () => {
    for (const sql of [
      "SELECT id FROM t WHERE m = 'sad' OR m IN ('sad', 'ok') OR m IS DISTINCT FROM 'ok'",
      'SELECT id FROM t WHERE m = ANY (ms)',
      'SELECT m, count(*) AS n, count(DISTINCT m) AS d FROM t GROUP BY m',
      'SELECT DISTINCT m FROM t',
      'SELECT m FROM t UNION SELECT m FROM t',
      'SELECT array_agg(m ORDER BY id) AS x, array_agg(DISTINCT m::text) AS y FROM t',
      'SELECT id FROM t ORDER BY m::text LIMIT 1',
      "SELECT coalesce(m, 'sad') AS z, CASE m WHEN 'ok' THEN 1 ELSE 2 END AS c FROM t ORDER BY c",
    ]) {
      expect(refusal(sql), sql).toBeNull();
    }
  });
});
