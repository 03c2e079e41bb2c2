import * as fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { isTidemarkError } from '../../../base/errors.ts';
import { JsonRowReader } from '../../../views/pipe/json-row.ts';
import { parsePipeTable } from '../../../views/pipe/pipe-table.ts';
import type { PipeTable } from '../../../views/pipe/pipe-table.ts';
import { plainRowReader } from '../../../views/pipe/plain-row.ts';
import type { PlainRowReader } from '../../../views/pipe/plain-row.ts';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import type { Value } from '../../../views/value.ts';

let table: PipeTable;
beforeAll(async () => {
  await loadSqlParser();
  table = await parsePipeTable(
    't(id int, big bigint NOT NULL, small smallint, n numeric, fixed numeric(8,2), s text, "na\u00efve""x" varchar(3), at timestamp, b bool, j jsonb, l int[])',
  );
});

interface Readers {
  readonly plain: PlainRowReader;
  readonly whole: JsonRowReader;
}

const known = new Map<string, Readers>();

/** Compiled once for each choice of columns. */
function readersOf(positions: readonly number[]): Readers {
  const name = positions.join(' ');
  const readers = known.get(name) ?? {
    plain: plainRowReader(table, positions, (_, text) => text),
    whole: new JsonRowReader(table, positions),
  };
  known.set(name, readers);
  return readers;
}

function read(
  positions: readonly number[],
  line: string,
): { row?: readonly Value[]; error?: string; isPlain: boolean } {
  const bytes = Buffer.from(`before\n${line}\nafter`);
  const from = 7;
  const to = bytes.length - 6;
  let isPlain = false;
  const { plain, whole } = readersOf(positions);
  try {
    isPlain = plain(bytes, from, to) !== undefined;
    return { row: whole.read(bytes, from, to), isPlain };
  } catch (error) {
    if (!isTidemarkError(error, 'VALUE_INVALID')) throw error;
    return { error: error.message, isPlain };
  }
}

/** The same line with a blank before its end is never read the short way. */
function scanned(positions: readonly number[], line: string): { row?: readonly Value[]; error?: string } {
  const { row, error, isPlain } = read(positions, line.replace(/\}$/, ' }'));
  expect(isPlain).toBe(false);
  return row === undefined ? { error: error ?? '' } : { row };
}

const tokens = [
  '0',
  '1',
  '-1',
  '-0',
  '00',
  '01',
  '-',
  '+1',
  '1.5',
  '1.',
  '.5',
  '-0.5',
  '0.0',
  '1e3',
  '1E-2',
  '12345',
  '-32769',
  '1234567890',
  '2147483648',
  '999999999999999',
  '9007199254740993',
  '9223372036854775808',
  '12345678901234567890.10',
  '0.10',
  'null',
  'true',
  'false',
  'nul',
  'truex',
  '""',
  '"x"',
  '"abc"',
  '"abcd"',
  '"ö€😀"',
  '"a\\nb"',
  '"1"',
  '"NaN"',
  '"2024-01-02T03:04:05.6"',
  '"a',
  '"\t"',
  '{}',
  '[1,2]',
  '{"a":1}',
  'NaN',
  '',
];
const token = fc.constantFrom(...tokens);

it('gives for every line what the long way gives, row or error', () => {
  const names = table.columns.map(({ name }) => name);
  const ok = ['1', '2', '3', '4.50', '5', '"s"', '"v"', '"2024-01-02"', 'true', '"j"', '"{}"'];
  const change = fc.record({ at: fc.nat({ max: names.length - 1 }), token });
  const choice = fc.constantFrom(
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    [0, 1, 2, 3, 5, 6, 7],
    [3, 0],
    [5, 8],
    [1, 4, 9],
    [],
  );
  const shape = fc.constantFrom('as it is', 'left out', 'twice', 'swapped', 'blank', 'tail');
  fc.assert(
    fc.property(choice, fc.array(change, { maxLength: 3 }), shape, (positions, changes, how) => {
      const values = [...ok];
      for (const each of changes) values[each.at] = each.token;
      const members = names.map((name, at) => `${JSON.stringify(name)}:${values[at]}`);
      if (how === 'left out') members.splice(3, 1);
      if (how === 'twice') members.push(members[0] ?? '');
      if (how === 'swapped') members.reverse();
      if (how === 'blank') members[1] = ` ${members[1]}`;
      const line = `{${members.join(',')}}${how === 'tail' ? 'x' : ''}`;
      const { row, error, isPlain } = read(positions, line);
      if (how !== 'as it is') expect(isPlain).toBe(false);
      if (how === 'tail') return;
      const slow = scanned(positions, line);
      expect(row).toEqual(slow.row);
      // The place that an error names moves with the blank.
      expect(error === undefined).toBe(slow.error === undefined);
      if (error?.startsWith('column') === true) expect(error).toBe(slow.error);
    }),
    { numRuns: 2000 },
  );
});

it('takes the lines of most programs the short way', () => {
  const line =
    '{"id":-7,"big":123456789012345,"small":1,"n":-12345678901234567890.50,"fixed":1,"s":"ö","na\u00efve\\"x":null,"at":"2024-01-02","b":true,"j":null,"l":null}';
  const positions = [0, 1, 3, 5, 7];
  const { row, isPlain } = read(positions, line);
  expect(row).toEqual([-7, 123456789012345, '-12345678901234567890.50', 'ö', '2024-01-02 00:00:00']);
  expect(isPlain).toBe(true);
  const empty =
    '{"id":null,"big":0,"small":null,"n":null,"fixed":null,"s":null,"na\u00efve\\"x":"abc","at":null,"b":null,"j":1,"l":"x"}';
  expect(read(positions, empty)).toEqual({ row: [null, 0, null, null, null], isPlain: true });
});
