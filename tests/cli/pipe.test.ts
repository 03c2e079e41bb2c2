import { readFile, writeFile } from 'node:fs/promises';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { folder } from './harness.ts';
import type { Ended } from './harness.ts';

const program = join(import.meta.dirname, '..', '..', 'tidemark');
const data = join(import.meta.dirname, '..', 'toybank');
const transactions = 'transactions(id int, from_account int, to_account int, amount int, ts timestamp)';
const outer = join(data, 'toybank-outer.sql');
const inner = join(data, 'toybank-inner.sql');

/** Runs `tidemark pipe` on an input. */
async function pipe(args: readonly string[], input: string | Buffer): Promise<Ended> {
  const child = spawn(program, ['pipe', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // A run that ends early leaves its input unread.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** Totals of the toy bank after each line, as a loop gives them; `inner` counts accounts that have credits and debits only. */
function totals(lines: readonly string[], isInner: boolean): (number | null)[] {
  const credits = new Map<number, number>();
  const debits = new Map<number, number>();
  return lines.map((line) => {
    const row = JSON.parse(line) as { from_account: number; to_account: number; amount: number };
    credits.set(row.to_account, (credits.get(row.to_account) ?? 0) + row.amount);
    debits.set(row.from_account, (debits.get(row.from_account) ?? 0) + row.amount);
    const accounts = new Set([...credits.keys(), ...debits.keys()]);
    const counted = [...accounts].filter((account) => !isInner || (credits.has(account) && debits.has(account)));
    if (counted.length === 0) return null;
    return counted.reduce((sum, account) => sum + (credits.get(account) ?? 0) - (debits.get(account) ?? 0), 0);
  });
}

/** The lines that pipe is to print for those totals. */
function expectedChanges(values: readonly (number | null)[]): string {
  let text = '';
  let before: number | null | undefined;
  for (const [index, value] of values.entries()) {
    if (value === before) continue;
    if (before !== undefined) text += `{"op":"-","row":{"total":${before}}}\n`;
    text += `{"op":"+","row":{"total":${value}}}\n{"tx": ${index + 1}}\n`;
    before = value;
  }
  return text;
}

describe('tidemark pipe', () => {
  for (const name of ['in-order', 'out-of-order']) {
    it(`keeps the toy bank's total at 0 after every transaction, ${name}`, async () => {
      const input = await readFile(join(data, `toybank-${name}.ndjson`), 'utf8');
      const { code, stdout, stderr } = await pipe(['--table', transactions, '--sql', outer], input);
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: '{"op":"+","row":{"total":0}}\n{"tx": 1}\n',
        stderr: '',
      });
    });

    it(`prints each total of the inner join as the query over the lines so far gives it, ${name}`, async () => {
      const input = await readFile(join(data, `toybank-${name}.ndjson`), 'utf8');
      const lines = input.trimEnd().split('\n');
      const { code, stdout } = await pipe(['--table', transactions, '--sql', inner], input);
      expect(code).toBe(0);
      const expected = totals(lines, true);
      expect(expected.at(-1)).toBe(0);
      expect(stdout).toBe(expectedChanges(expected));
    });
  }

  it('takes --batch lines as one transaction, the last one shorter, and ends one at a commit line', async () => {
    const sql = 'SELECT count(*) AS n FROM t';
    const lines = ['{"a":1}', '{"a":2}', '{"a":3}', '{"commit": true}', '{"a":4}', '', '{"a":5}'].join('\n');
    const { stdout } = await pipe(['--table', 't(a int)', '--sql', sql, '--batch', '2'], lines);
    const row = (op: string, n: number): string => `{"op":"${op}","row":{"n":${n}}}\n`;
    expect(stdout).toBe(
      `${row('+', 2)}{"tx": 1}\n${row('-', 2)}${row('+', 3)}{"tx": 2}\n${row('-', 3)}${row('+', 5)}{"tx": 3}\n`,
    );
  });

  it('follows creates, updates, deletes and key changes of several tables', async () => {
    const args = [
      '--table',
      'customers(id int PRIMARY KEY, name text)',
      '--table',
      'orders(id bigint, customer int, total numeric(22,2), PRIMARY KEY (id))',
      '--sql',
      'SELECT c.name, sum(o.total) AS total FROM orders o JOIN customers c ON c.id = o.customer GROUP BY c.name',
      '--key',
      'name',
    ];
    const lines = [
      '{"table":"customers","row":{"id":1,"name":"Ada"}}',
      '{"table":"orders","row":{"id":10,"customer":1,"total":"12345678901234567.89"},"op":"c"}',
      '{"table":"orders","row":{"id":11,"customer":1,"total":0.1}}',
      '{"op":"u","table":"orders","row":{"id":11,"customer":1,"total":0.2}}',
      '{"op":"u","table":"orders","row":{"id":11,"customer":1,"total":0.2}}',
      '{"table":"orders","op":"d","row":{"id":10}}',
    ];
    const { code, stdout } = await pipe(args, lines.join('\n'));
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        '{"op":"+","row":{"name":"Ada","total":12345678901234567.89}}\n{"tx": 2}',
        '{"op":"-","row":{"name":"Ada","total":12345678901234567.89}}',
        '{"op":"+","row":{"name":"Ada","total":12345678901234567.99}}\n{"tx": 3}',
        '{"op":"-","row":{"name":"Ada","total":12345678901234567.99}}',
        '{"op":"+","row":{"name":"Ada","total":12345678901234568.09}}\n{"tx": 4}',
        '{"op":"-","row":{"name":"Ada","total":12345678901234568.09}}',
        '{"op":"+","row":{"name":"Ada","total":0.20}}\n{"tx": 6}\n',
      ].join('\n'),
    );
  });

  it('prints the rows at the end with --final, in the order of the query, and a row of an empty input', async () => {
    const table = ['--table', 'people(id int, name text, born date)', '--final'];
    const lines = [
      '{"id":1,"name":"Zoë","born":"1970-01-02"}',
      '{"id":2,"name":"Ann"}',
      '{"id":1,"name":"Zoë","born":"1970-01-02"}',
    ];
    const { stdout } = await pipe(
      [...table, '--sql', 'SELECT name, born FROM people ORDER BY name DESC'],
      lines.join('\n'),
    );
    expect(stdout).toBe(
      '{"name":"Zoë","born":"1970-01-02"}\n{"name":"Zoë","born":"1970-01-02"}\n{"name":"Ann","born":null}\n',
    );
    const hidden = await pipe([...table, '--sql', 'SELECT born FROM people ORDER BY name, id * -1'], lines.join('\n'));
    expect(hidden.stdout).toBe('{"born":null}\n{"born":"1970-01-02"}\n{"born":"1970-01-02"}\n');
    const empty = await pipe([...table, '--sql', 'SELECT count(*), max(name) AS last FROM people'], '');
    expect(empty.stdout).toBe('{"count":0,"last":null}\n');
  });

  it('keeps every digit of numbers beyond doubles', async () => {
    const sql = 'SELECT sum(a) AS a, sum(b) AS b, max(c) AS c FROM t';
    const lines =
      '{"a":99999999999999999999,"b":9223372036854775807,"c":0.1234567890123456789012345678901234567890}\n'.repeat(3);
    const { stdout } = await pipe(['--table', 't(a numeric, b bigint, c numeric)', '--sql', sql, '--final'], lines);
    expect(stdout).toBe(
      '{"a":299999999999999999997,"b":27670116110564327421,"c":0.1234567890123456789012345678901234567890}\n',
    );
  });

  it('reads a file of many pieces as it reads a pipe', async () => {
    const directory = await folder();
    const text = Array.from({ length: 30_000 }, (_, id) => `{"id":${id},"text":"${'é'.repeat(id % 40)}"}\n`).join('');
    await writeFile(join(directory, 'in.ndjson'), text);
    const args = [
      '--table',
      't(id int, text text)',
      '--sql',
      'SELECT count(*), sum(id) AS ids, sum(length(text)) AS letters FROM t',
    ];
    const command = [program, 'pipe', ...args, '--final'].map((word) => `'${word}'`).join(' ');
    const run = await promisify(execFile)('/bin/sh', ['-c', `${command} < in.ndjson`], { cwd: directory });
    expect(run.stdout).toBe('{"count":30000,"ids":449985000,"letters":585000}\n');
    expect((await pipe([...args, '--final'], text)).stdout).toBe(run.stdout);
  });

  it('reads numbers as numeric prints them', async () => {
    const numbers = ['1.50', '1e3', '-0', '-0.00', '-0.5', '0', '12345678901234567890.10', '1E-2', '-7'];
    const lines = numbers.map((number, id) => `{"id":${id},"a":${number}}`).join('\n');
    const sql = 'SELECT id, a, a::text AS t FROM t ORDER BY id';
    const { stdout } = await pipe(['--table', 't(id int, a numeric)', '--sql', sql, '--final'], lines);
    const printed = ['1.50', '1000', '0', '0.00', '-0.5', '0', '12345678901234567890.10', '0.01', '-7'];
    expect(stdout).toBe(printed.map((number, id) => `{"id":${id},"a":${number},"t":"${number}"}\n`).join(''));
  });

  it('stops at a malformed line with its number, after printing what came before it', async () => {
    const args = ['--table', 't(id int PRIMARY KEY, a int NOT NULL)', '--sql', 'SELECT id, a FROM t'];
    for (const [line, why] of [
      ['{"id":2', "line 2: not a JSON object: ',' or '}' is expected, at its end"],
      ['[]', 'line 2: not a JSON object: an object is expected, at byte 1, before "[]"'],
      ['{"id":"x","a":1}', 'line 2: column "id" of t: invalid input syntax for type integer: "x"'],
      ['{"id":3000000000,"a":1}', 'line 2: column "id" of t: value "3000000000" is out of range for type integer'],
      ['{"id":2}', 'line 2: column "a" of t: it must not be NULL'],
      ['{"id":1,"a":1}', 'line 2: table t has a row of this key already'],
      ['{"table":"t","op":"d","row":{"id":7}}', 'line 2: table t has no row of this key, for "op": "d"'],
      ['{"table":"u","row":{"id":7}}', 'line 2: there is no table "u" (--table declares t)'],
      ['{"table":"t","row":{"id":7,"a":1},"op":"x"}', 'line 2: "op" must be "c", "u" or "d"'],
    ] as const) {
      const { code, stdout, stderr } = await pipe(args, `{"id":1,"a":1}\n${line}\n{"id":9,"a":1}\n`);
      expect({ line, code, stdout }).toEqual({ line, code: 1, stdout: '{"op":"+","row":{"id":1,"a":1}}\n{"tx": 1}\n' });
      expect(stderr).toContain(why);
    }
  });

  it('goes on without a row that an expression fails on, says which, and exits 1', async () => {
    const args = ['--table', 't(id int, a int)', '--sql', 'SELECT id, 10 / a AS q FROM t', '--final'];
    const { code, stdout, stderr } = await pipe(args, '{"id":1,"a":5}\n{"id":2,"a":0}\n{"id":3,"a":2}\n');
    expect(stdout).toBe('{"id":1,"q":2}\n{"id":3,"q":5}\n');
    expect(stderr).toContain('line 2: division by zero, for [2,0]; the row is left out\n');
    expect(code).toBe(1);
  });

  it('leaves out the row for which a scalar subquery gives two, and shows it again when it gives one', async () => {
    const tables = ['--table', 't(id int PRIMARY KEY)', '--table', 'u(id int PRIMARY KEY, t int)'];
    const lines = [
      '{"table":"t","row":{"id":1}}',
      '{"table":"t","row":{"id":2}}',
      '{"table":"u","row":{"id":7,"t":1}}',
      '{"table":"u","row":{"id":8,"t":1}}',
    ];
    const args = [
      ...tables,
      '--sql',
      'SELECT id, (SELECT u.id FROM u WHERE u.t = t.id) AS u FROM t ORDER BY id',
      '--final',
    ];
    const two = await pipe(args, lines.join('\n'));
    expect(two).toMatchObject({ code: 1, stdout: '{"id":2,"u":null}\n' });
    expect(two.stderr).toContain('line 4: more than one row returned by a subquery used as an expression');
    const one = await pipe(args, [...lines, '{"table":"u","op":"d","row":{"id":7}}'].join('\n'));
    expect(one).toMatchObject({ code: 0, stdout: '{"id":1,"u":8}\n{"id":2,"u":null}\n' });
  });

  it('says what is wrong with a table or a query, and exits 2', async () => {
    for (const [args, why] of [
      [['--table', 't(id int', '--sql', 'SELECT 1'], "--table 't(id int' is not understood: syntax error"],
      [['--table', 't(id foo)', '--sql', 'SELECT id FROM t'], 'type "foo" does not exist'],
      [['--table', 't(id int)', '--sql', 'SELECT ix FROM t'], '1:8: column "ix" does not exist'],
      [['--table', 't(id int)', '--sql', 'no-such.sql'], '--sql no-such.sql: there is no such file'],
      [['--table', 't(id int)', '--sql', 'SELECT 1', '--batch', '0'], 'Write a whole number, 1 or more.'],
      [
        ['--table', 't(id int)', '--sql', 'SELECT 1', '--final', '--changes'],
        '--changes and --final exclude each other',
      ],
    ] as const) {
      const { code, stderr } = await pipe(args, '');
      expect(stderr).toContain(why);
      expect(code, why).toBe(2);
    }
  });
});
