import { beforeAll, describe, expect, it } from 'vitest';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { describePostgres } from '../../servers/suite.ts';
import { RowBag } from './bag.ts';
import { makeCase } from './case.ts';
import { bindCase, runEngine } from './engine-side.ts';
import { newStatistics, script } from './fuzzer.ts';
import type { Answers } from './oracle-server.ts';
import { OracleServer } from './oracle-server.ts';
import { shrink } from './shrink.ts';
import { list, optional, query, render, sequence, smaller, value } from './sql-tree.ts';

/** As an engine sees it that loses every retraction. */
function withoutRetractions({ transactions, queries }: Answers): Answers {
  const kept = transactions.map(({ sql, changes }) => ({
    sql,
    changes: new Map(
      [...changes].map(([table, { rows, weights }]) => [
        table,
        { rows: rows.filter((_, at) => weights[at] === 1), weights: weights.filter((weight) => weight === 1) },
      ]),
    ),
  }));
  return { transactions: kept, queries };
}

describePostgres('random views', (database) => {
  beforeAll(loadSqlParser);

  it('find an engine that loses retractions, and show it by a small case', async () => {
    const server = await OracleServer.on(await database.connect());
    const mode = { store: 'memory', batch: 1 } as const;
    const fails = async (test: Awaited<ReturnType<typeof makeCase>>): Promise<string | null> => {
      try {
        const answers = await server.answers(test);
        const failure = await runEngine(test, withoutRetractions(answers), bindCase(test, answers), mode);
        return failure?.kind === 'rows' ? failure.message : null;
      } catch {
        return null;
      }
    };
    let found = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const test = await makeCase(seed, server, newStatistics());
      const message = await fails(test);
      if (message === null) continue;
      found++;
      if (found > 1) continue;
      const smallest = await shrink(test, message, fails, { tries: 600, milliseconds: 20_000 });
      expect(script(smallest.test).length).toBeLessThan(script(test).length / 3);
      expect(smallest.test.queries.length).toBeLessThan(3);
    }
    expect(found).toBeGreaterThan(8);
  }, 120_000);

  it('are the same for the same seed', async () => {
    const server = await OracleServer.on(await database.connect());
    const first = script(await makeCase(5, server, newStatistics()));
    expect(script(await makeCase(5, server, newStatistics()))).toBe(first);
    expect(script(await makeCase(6, server, newStatistics()))).not.toBe(first);
  });
});

describe('what a query can be reduced to', () => {
  it('leaves out what is optional, and puts parts in place of the whole', () => {
    const sum = value('int4', '(', value('int4', 'a'), ' + ', value('int4', 'b'), ')');
    const tree = query(['int4'], 'SELECT ', list([sum, 'c'], { least: 1 }), optional(' WHERE ', value('bool', 'd')));
    const texts = [...smaller(tree)].map(render);
    for (const text of ['SELECT (a + b), c', 'SELECT c WHERE d', 'SELECT a, c WHERE d', 'SELECT b, c WHERE d']) {
      expect(texts).toContain(text);
    }
    expect(texts.every((text) => text.length < render(tree).length + 4)).toBe(true);
  });

  it('never leaves out what it would not be a query without', () => {
    const texts = [...smaller(sequence('SELECT ', list(['a'], { least: 1 })))].map(render);
    expect(texts).toEqual([]);
  });
});

describe('answers', () => {
  it('are equal as bags: whatever the order, however often', () => {
    const bag = RowBag.of([
      ['1', null],
      ['1', null],
      ['2', 'a'],
    ]);
    expect(
      bag.equals(
        RowBag.of([
          ['2', 'a'],
          ['1', null],
          ['1', null],
        ]),
      ),
    ).toBe(true);
    expect(
      bag.equals(
        RowBag.of([
          ['1', null],
          ['2', 'a'],
        ]),
      ),
    ).toBe(false);
    expect(RowBag.of([['1', 'NULL']]).equals(RowBag.of([['1', null]]))).toBe(false);
    expect(RowBag.of([['a', 'b']]).equals(RowBag.of([['a\u0001b']]))).toBe(false);
  });

  it('show 1.50 and 1.5 as different, until only values count', () => {
    const [a, b] = [RowBag.of([['1.50']]), RowBag.of([['1.5']])];
    expect(a.equals(b)).toBe(false);
    expect(a.normalised().equals(b.normalised())).toBe(true);
    expect(
      RowBag.of([['150']])
        .normalised()
        .equals(RowBag.of([['15']]).normalised()),
    ).toBe(false);
  });

  it('show 2 days and 48 hours as different, until only values count', () => {
    const normalised = (text: string): RowBag => RowBag.of([['7', text]]).normalised();
    for (const [a, b] of [
      ['2 days', '48:00:00'],
      ['1 mon 3 days', '33 days'],
      ['-1 days +02:00:00', '-22:00:00'],
      ['1 year 2 mons 00:00:00.25', '420 days 00:00:00.25'],
    ] as const) {
      expect(RowBag.of([['7', a]]).equals(RowBag.of([['7', b]])), a).toBe(false);
      expect(normalised(a).equals(normalised(b)), a).toBe(true);
    }
    expect(normalised('2 days').equals(normalised('48:00:01'))).toBe(false);
    expect(normalised('1 mon').equals(normalised('31 days'))).toBe(false);
    expect(normalised('2024-01-01 10:00:00').equals(normalised('2024-01-02 10:00:00'))).toBe(false);
  });
});
