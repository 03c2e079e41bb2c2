import { present } from '../../base/assert.ts';
import { arrayItems } from '../expressions/array-text.ts';
import { RowError } from '../expressions/expression.ts';
import { addToTimestamp, compareIntervals, isFiniteInterval, newInterval } from '../expressions/interval.ts';
import { parseInterval } from '../expressions/interval-text.ts';
import { jsonAsText, jsonElements, jsonKind } from '../expressions/json-scan.ts';
import {
  addNumeric,
  compareNumeric,
  formatNumeric,
  isSpecial,
  numericOfInteger,
  readNumeric,
  signOf,
} from '../expressions/numeric.ts';
import { readTimestamp, readTimestamptz, writeTimestamp, writeTimestamptz } from '../expressions/timestamp-text.ts';
import type { SqlType } from '../type.ts';
import { integer } from '../value.ts';
import type { Row, Value } from '../value.ts';
import type { ExpandPlan } from './plan.ts';

type Expansion = (args: Row) => readonly Row[];

/** A longer series is taken for a mistake, or for a bound that is not finite. */
const seriesLengthMax = 1_000_000;

/** A set-returning function over its arguments, as rows of its columns. No rows where an argument is NULL. RowError. */
export function expandFunction(plan: ExpandPlan): Expansion {
  return strictly(expansionOf(plan.fn, present(plan.args[0], 'an argument').type));
}

function strictly(expand: (args: readonly NonNullable<Value>[]) => Iterable<Value>): Expansion {
  return (args) => {
    const given = args.filter((arg) => arg !== null);
    if (given.length < args.length) return [];
    const rows: Row[] = [];
    for (const value of expand(given)) rows.push([value]);
    return rows;
  };
}

function expansionOf(fn: ExpandPlan['fn'], type: SqlType): (args: readonly NonNullable<Value>[]) => Iterable<Value> {
  switch (fn) {
    case 'generate_series':
      return seriesOf(type);
    case 'unnest':
      return ([array]) => arrayItems(String(array), type);
    case 'json_array_elements':
    case 'jsonb_array_elements':
      return ([json]) => elements(String(json), fn);
    case 'json_array_elements_text':
    case 'jsonb_array_elements_text':
      return ([json]) => elements(String(json), fn).map((element) => jsonAsText(element));
  }
}

function elements(json: string, fn: string): readonly string[] {
  const found = jsonElements(json);
  if (found !== undefined) return found;
  const kind = jsonKind(json) === 'object' ? 'object' : 'scalar';
  if (fn.startsWith('jsonb')) {
    throw new RowError('22023', `cannot extract elements from ${kind === 'object' ? 'an object' : 'a scalar'}`);
  }
  throw new RowError('22023', `cannot call ${fn} on a ${kind === 'object' ? 'non-array' : 'scalar'}`);
}

function seriesOf(type: SqlType): (args: readonly NonNullable<Value>[]) => Iterable<Value> {
  const name = type.kind === 'scalar' ? type.name : 'other';
  if (name === 'timestamp') return (args) => limited(timeSeries(args, readTimestamp, writeTimestamp));
  if (name === 'timestamptz') return (args) => limited(timeSeries(args, readTimestamptz, writeTimestamptz));
  if (name === 'numeric') return (args) => limited(numericSeries(args));
  return (args) => limited(integerSeries(args, name === 'int8' ? 9_223_372_036_854_775_807n : 2_147_483_647n));
}

function* limited(series: Iterable<Value>): Iterable<Value> {
  let length = 0;
  for (const value of series) {
    if (++length > seriesLengthMax) {
      throw new RowError('54000', `generate_series would give more than ${seriesLengthMax} rows`);
    }
    yield value;
  }
}

function* integerSeries([start = 0, stop = 0, step = 1]: readonly NonNullable<Value>[], max: bigint): Iterable<Value> {
  const by = BigInt(step);
  if (by === 0n) throw zeroStep();
  const end = BigInt(stop);
  for (let at = BigInt(start); by > 0n ? at <= end : at >= end; at += by) {
    yield integer(at);
    if (at + by > max || at + by < -max - 1n) return;
  }
}

function* numericSeries([start, stop, step]: readonly NonNullable<Value>[]): Iterable<Value> {
  const [from, to] = [readNumeric(String(start)), readNumeric(String(stop))];
  const by = step === undefined ? numericOfInteger(1) : readNumeric(String(step));
  for (const [what, value] of [
    ['start value', from],
    ['stop value', to],
    ['step size', by],
  ] as const) {
    if (!isSpecial(value)) continue;
    throw new RowError('22023', `${what} cannot be ${formatNumeric(value) === 'NaN' ? 'NaN' : 'infinity'}`);
  }
  const sign = signOf(by);
  if (sign === 0) throw zeroStep();
  for (let at = from; compareNumeric(at, to) * sign <= 0; at = addNumeric(at, by)) yield formatNumeric(at);
}

/** Each is the one before plus the step, as PostgreSQL does it: from January 31, a month on, comes February 28, then March 28. */
function* timeSeries(
  [start, stop, step]: readonly NonNullable<Value>[],
  read: typeof readTimestamp,
  write: typeof writeTimestamp,
): Iterable<Value> {
  const end = read(String(stop));
  const by = parseInterval(String(step));
  if (!isFiniteInterval(by)) throw new RowError('22023', 'step size cannot be infinite');
  const sign = compareIntervals(by, newInterval(0, 0, 0));
  if (sign === 0) throw zeroStep();
  for (let at = read(String(start)); sign > 0 ? at <= end : at >= end; at = addToTimestamp(at, by)) yield write(at);
}

function zeroStep(): RowError {
  return new RowError('22023', 'step size cannot equal zero');
}
