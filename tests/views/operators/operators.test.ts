import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { Expression } from '../../../views/expressions/expression.ts';
import type { JoinPlan, Plan } from '../../../views/plan/plan.ts';
import type { Row, Value } from '../../../views/value.ts';
import { changesOf, holds } from './maintenance.ts';
import * as plans from './plans.ts';
import { aggregate, aggregateCall, all, by, call, lit, ref, scan } from './plans.ts';

const small = fc.option(fc.integer({ min: 0, max: 3 }), { freq: 6 });
const row: fc.Arbitrary<Row> = fc.tuple(small, small, fc.integer({ min: -2, max: 6 }));
const columns = { a: 'int4', b: 'int4', c: 'int4' } as const;
const decimals = fc.constantFrom<Value>('1', '1.0', '1.00', '2', 'NaN', null);

function left(): ReturnType<typeof scan> {
  return scan('left', columns);
}

function right(): ReturnType<typeof scan> {
  return scan('right', columns);
}

/** Each case is a plan over `left` and `right`, each of int4 columns a, b (0 to 3 or NULL) and c (−2 to 6). */
function check(name: string, make: () => Plan): void {
  it(name, () => {
    fc.assert(
      fc.property(changesOf({ left: row, right: row }), (batches) => holds(plans.view('v', make()), batches)),
      { numRuns: 50 },
    );
  });
}

describe('each operator gives at every step what its batch definition gives', () => {
  check('scan', left);
  check('filter', () => {
    const input = left();
    return plans.filter(input, call('<', ref(input, 'a'), ref(input, 'b')));
  });
  check('projection above a filter, with rows that fail', () => {
    const input = left();
    const filtered = plans.filter(input, call('<', ref(input, 'a'), lit(3, 'int4')));
    return plans.project(filtered, { d: call('/', ref(input, 'c'), ref(input, 'b')), a: ref(input, 'a') });
  });
  check('union of unlike column orders', () => {
    const [one, two] = [left(), right()];
    return plans.union(
      plans.project(one, { x: ref(one, 'a'), y: ref(one, 'c') }),
      plans.project(two, { p: ref(two, 'c'), q: ref(two, 'b') }),
    );
  });
  check('values beside a relation', () => {
    const input = left();
    const values: Plan = {
      kind: 'values',
      columns: [plans.column('v', 'int4')],
      rows: [
        [lit(1, 'int4')],
        [call('+', lit(1, 'int4'), lit(1, 'int4'))],
        [call('/', lit(1, 'int4'), lit(0, 'int4'))],
      ],
    };
    return plans.union(plans.project(input, { a: ref(input, 'a') }), values);
  });
  check('expand', () => {
    const input = left();
    return plans.expand(input, 'generate_series', [ref(input, 'a'), ref(input, 'c')], false);
  });
  check('left expand', () => {
    const input = left();
    return plans.expand(input, 'generate_series', [ref(input, 'a'), ref(input, 'c')], true);
  });
});

describe('joins', () => {
  const types: readonly JoinPlan['type'][] = ['inner', 'left', 'full', 'semi', 'anti'];
  const conditions: Record<string, (l: Plan, r: Plan) => Expression> = {
    'on one equality': (l, r) => call('=', ref(l, 'a'), ref(r, 'b')),
    'on two equalities': (l, r) => all(call('=', ref(l, 'a'), ref(r, 'a')), call('=', ref(r, 'b'), ref(l, 'b'))),
    'on an equality of expressions': (l, r) => call('=', call('+', ref(l, 'a'), lit(1, 'int4')), ref(r, 'b')),
    'on an equality and more': (l, r) => all(call('=', ref(l, 'a'), ref(r, 'b')), call('<', ref(l, 'c'), ref(r, 'c'))),
    'on an equality and a condition of one side': (l, r) =>
      all(call('=', ref(l, 'a'), ref(r, 'b')), call('<', ref(l, 'c'), lit(2, 'int4'))),
    'on no equality': (l, r) => call('<', ref(l, 'c'), ref(r, 'a')),
    'on a condition that fails for some pairs': (l, r) =>
      all(call('=', ref(l, 'a'), ref(r, 'b')), call('<', call('/', ref(l, 'c'), ref(r, 'c')), lit(1, 'int4'))),
    'on everything': () => lit(true, 'bool'),
  };
  for (const type of types) {
    for (const [name, condition] of Object.entries(conditions)) {
      check(`${type} ${name}`, () => {
        const [l, r] = [left(), right()];
        return plans.join(type, l, r, condition(l, r));
      });
    }
    check(`${type} of a relation with itself`, () => {
      const l = left();
      const r = plans.again(l);
      return plans.join(type, l, r, call('=', ref(l, 'a'), ref(r, 'a')));
    });
  }
  check('of joins', () => {
    const [l, r] = [left(), right()];
    const inner = plans.join('left', l, r, call('=', ref(l, 'a'), ref(r, 'a')));
    const third = left();
    const c: Expression = { kind: 'column', id: r.columns[1]?.id ?? -1, type: lit(0, 'int4').type };
    return plans.join('full', inner, third, call('=', c, ref(third, 'b')));
  });
});

describe('sets', () => {
  const narrow = (input: Plan): Plan => plans.project(input, { a: ref(input, 'a'), b: ref(input, 'b') });
  check('distinct', () => plans.distinct(narrow(left())));
  for (const kind of ['except', 'intersect'] as const) {
    for (const isAll of [false, true]) {
      check(`${kind}${isAll ? ' all' : ''}`, () => plans.setDifference(kind, isAll, narrow(left()), narrow(right())));
    }
  }
  it('takes numerics that are equal for one, and shows the same of them whatever came first', () => {
    const numbers = fc.tuple(decimals, small);
    fc.assert(
      fc.property(changesOf({ n: numbers, m: numbers }), (batches) => {
        const [n, m] = ['n', 'm'].map((name) => scan(name, { x: 'numeric', y: 'int4' })) as [Plan, Plan];
        holds(plans.view('v', plans.distinct(n)), batches);
        holds(plans.view('v', plans.setDifference('except', true, n, m)), batches);
        holds(plans.view('v', plans.setDifference('intersect', false, n, m)), batches);
        holds(plans.view('v', aggregate(n, ['x'], { y: aggregateCall('sum', [ref(n, 'y')]) })), batches);
      }),
    );
  });
});

describe('top', () => {
  for (const [limit, offset] of [
    [1, 0],
    [2, 0],
    [3, 2],
    [null, 2],
  ] as const) {
    check(`${limit ?? 'all'} from ${offset} of each`, () => {
      const input = left();
      return plans.topN(input, { partition: ['a'], order: [by(ref(input, 'c'), true)], limit, offset });
    });
  }
  check('of everything, by an expression', () => {
    const input = left();
    const sum = call('+', ref(input, 'b'), ref(input, 'c'));
    return plans.topN(input, { order: [by(sum), by(ref(input, 'a'), true)], limit: 4, offset: 1 });
  });
  check('single', () => plans.topN(left(), { partition: ['a', 'b'], order: [], limit: 2, single: true }));
});

describe('aggregates', () => {
  const calls = (input: Plan): Parameters<typeof aggregate>[2] => ({
    n: aggregateCall('count', []),
    s: aggregateCall('sum', [ref(input, 'b')]),
    low: aggregateCall('min', [ref(input, 'c')]),
    high: aggregateCall('max', [ref(input, 'c')]),
    items: aggregateCall('list', [ref(input, 'b')], { order: [by(ref(input, 'c'), true)] }),
  });
  check('by a column, with groups that fail', () => {
    const input = left();
    return aggregate(input, ['a'], { ...calls(input), f: aggregateCall('sum', [ref(input, 'c')]) });
  });
  check('of everything', () => {
    const input = left();
    return aggregate(input, [], { n: aggregateCall('count', []), low: aggregateCall('min', [ref(input, 'b')]) });
  });
  check('of aggregates', () => {
    const input = left();
    const inner = aggregate(input, ['a', 'b'], calls(input));
    return aggregate(inner, ['a'], { n: aggregateCall('count', []), s: aggregateCall('list', [ref(inner, 'items')]) });
  });
  check('with filters', () => {
    const input = left();
    const condition = call('<', ref(input, 'c'), lit(3, 'int4'));
    return aggregate(input, ['a'], {
      n: aggregateCall('count', [], { filter: condition }),
      s: aggregateCall('sum', [ref(input, 'b')], { filter: condition }),
      low: aggregateCall('min', [ref(input, 'c')], { filter: condition }),
      items: aggregateCall('list', [ref(input, 'b')], { filter: condition }),
    });
  });
  check('of different values', () => {
    const input = left();
    return aggregate(input, ['a'], {
      n: aggregateCall('count', [ref(input, 'b')], { distinct: true }),
      s: aggregateCall('sum', [ref(input, 'b')], { distinct: true }),
      items: aggregateCall('list', [ref(input, 'c')], { distinct: true }),
      up: aggregateCall('list', [ref(input, 'c')], { distinct: true, order: [by(ref(input, 'c'), true)] }),
    });
  });
  check('of expressions, with rows that fail', () => {
    const input = left();
    const quotient = call('/', ref(input, 'c'), ref(input, 'b'));
    return aggregate(input, ['a'], {
      s: aggregateCall('sum', [quotient]),
      items: aggregateCall('list', [ref(input, 'c')], { order: [by(call('+', ref(input, 'b'), lit(1, 'int4')))] }),
    });
  });
});
