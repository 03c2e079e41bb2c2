import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { describePostgres } from '../servers/suite.ts';
import { compare, isEqual } from './compare.ts';
import { LocalIndex } from './local-index.ts';
import { Screen } from './screen.ts';
import { root } from './shop.ts';

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
  /** Folders of ours that are left in what was its TMPDIR. */
  readonly left: string[];
}

/** Runs the demo; `when` is called with the output so far whenever there is more, and may send a signal. */
async function runDemo(
  args: readonly string[],
  when: (output: string, kill: (signal: NodeJS.Signals) => void) => void = () => undefined,
): Promise<Ended> {
  const temporary = mkdtempSync(join(tmpdir(), 'demo-test-'));
  onTestFinished(() => rmSync(temporary, { recursive: true, force: true }));
  // Open to the account that servers run as, so that they use it, too.
  chmodSync(temporary, 0o755);
  const child = spawn(process.execPath, [join(root, 'tests/demo/demo.ts'), ...args], {
    cwd: temporary,
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGTERM'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      when(output, (signal) => void child.kill(signal));
    });
  }
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, output, left: readdirSync(temporary).filter((name) => name.startsWith('tidemark-')) };
}

// Starts a server of its own, where servers can be had at all.
describePostgres('the demo', () => {
  it('ends with an index that equals the database row by row, and says so', { timeout: 180_000 }, async () => {
    const { code, output, left } = await runDemo(['--seconds', '8', '--customers', '4000']);
    const lines = output.trimEnd().split('\n');
    expect(lines.at(-1), output).toMatch(
      /^Equal at [0-9A-F]+\/[0-9A-F]+: ([34],\d{3}) documents and \1 customers, row by row\.$/,
    );
    expect(lines.at(-2)).toMatch(
      /^[1-9][\d,]* transactions; .* looked at [1-9][\d,]* times and showed no half transaction\.$/,
    );
    expect(output).toMatch(
      /^search {4}“walnut lamp porto”: \d+ customers in [\d.]+ ms, as of [0-9A-F]+\/[0-9A-F]+\n {10}#\d+ .*Porto/m,
    );
    expect(output).not.toContain('\u001B');
    expect(code).toBe(0);
    expect(left).toEqual([]);
  });

  it('stops at Ctrl-C while the tables are read, and removes what it made', { timeout: 120_000 }, async () => {
    let sent = false;
    const { code, output, left } = await runDemo(['--customers', '4000'], (soFar, kill) => {
      if (sent || !soFar.includes('reading the tables')) return;
      sent = true;
      kill('SIGINT');
    });
    expect(output.trimEnd()).toMatch(/Stopped; everything is removed\.$/);
    expect(code).toBe(130);
    expect(left).toEqual([]);
  });

  it('refuses a command line that it does not understand', async () => {
    for (const args of [
      ['--seconds', 'soon'],
      ['--customers', '1.5'],
    ]) {
      const { code, output } = await runDemo(args);
      expect(output).toContain('Usage: npm run demo');
      expect(code).toBe(2);
    }
  });
});

describePostgres('the comparison of the demo', (database) => {
  it('finds rows that are missing, extra or different, and only these', async () => {
    await database.query(`CREATE TABLE things (id bigint PRIMARY KEY, name text, at timestamptz);
      INSERT INTO things VALUES (-1, 'a', NULL), (2, 'b', '2024-01-02 03:04:05.6+00'), (3, '', NULL)`);
    const file = indexFile();
    const compareThings = async () => (await compare(database.url, file, [{ table: 'things' }]))[0];
    const equal = await compareThings();
    expect(equal).toEqual({ table: 'things', rows: 3, missing: 0, extra: 0, different: 0, shown: [] });
    expect(equal !== undefined && isEqual(equal)).toBe(true);

    change(file, "DELETE FROM things WHERE id = -1; INSERT INTO things VALUES (1, 'x', NULL, 4), (9, 'x', NULL, 4)");
    change(file, 'UPDATE things SET name = NULL WHERE id = 3');
    const found = await compareThings();
    expect(found).toMatchObject({ rows: 3, missing: 1, extra: 2, different: 1 });
    expect(found !== undefined && isEqual(found)).toBe(false);
    expect(found?.shown).toEqual([
      'things -1 is not in the index',
      'things 1 is in the index only',
      'things 3: name is , and in the index null',
      'things 9 is in the index only',
    ]);
  });
});

describePostgres('the comparison of documents', (database) => {
  it('takes each as the text that the query answers, to the blank', async () => {
    await database.query(
      `CREATE TABLE parts (id bigint, whole bigint); INSERT INTO parts VALUES (1, 7), (2, 7), (3, 8)`,
    );
    const sql = `SELECT json_agg(json_build_object('id', id) ORDER BY id) AS parts, whole AS id FROM parts GROUP BY whole`;
    const directory = mkdtempSync(join(tmpdir(), 'demo-compare-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const file = join(directory, 'shop.db');
    change(
      file,
      `CREATE TABLE wholes (id INTEGER PRIMARY KEY, parts TEXT, _seq INTEGER);
       INSERT INTO wholes VALUES (7, '[{"id" : 1}, {"id" : 2}]', 1), (8, '[{"id" : 3}]', 1)`,
    );
    const compareWholes = async () => (await compare(database.url, file, [{ table: 'wholes', sql }]))[0];
    expect(await compareWholes()).toMatchObject({ rows: 2, missing: 0, extra: 0, different: 0 });
    change(file, `UPDATE wholes SET parts = '[{"id": 3}]' WHERE id = 8`);
    expect(await compareWholes()).toMatchObject({
      different: 1,
      shown: ['wholes 8: parts is [{"id" : 3}], and in the index [{"id": 3}]'],
    });
  });
});

describe('a look at the documents', () => {
  it('finds half a transaction: sums that disagree, lines that were not summed', () => {
    const file = documentsFile();
    const index = new LocalIndex(file);
    onTestFinished(() => index.close());
    expect(index.look()).toBe('whole');
    commit(file, 2, 'UPDATE documents SET order_count = 2, _seq = 2 WHERE id = 1');
    expect(index.look()).toMatch(/^at 0\/2 customer 1 has 2 orders for 700 cents, and the document sums 1 for 700/);
    commit(file, 3, 'UPDATE documents SET order_count = 1, _seq = 3 WHERE id = 1');
    expect(index.look()).toBe('whole');
    commit(
      file,
      4,
      `UPDATE documents SET orders = replace(orders, '"quantity" : 2', '"quantity" : 3'), _seq = 4 WHERE id = 1`,
    );
    expect(index.look()).toMatch(/^at 0\/4 customer 1 /);
  });
});

describe('the screen of the demo', () => {
  it('is redrawn in place, within the terminal, and not at all when nothing changed', () => {
    const { screen, written } = screenOf({ isTTY: true, columns: 6, rows: 3 });
    screen.draw([screen.paint('good', '12345678'), 'b', 'c', 'd']);
    screen.draw([screen.paint('good', '12345678'), 'b', 'changed where nobody sees it']);
    screen.draw(['a', 'b']);
    screen.end(['done']);
    expect(written).toEqual([
      '\u001B[?25l\u001B[32m12345\u001B[39m\u001B[K\nb\u001B[K\n\u001B[J',
      '\u001B[2A\ra\u001B[K\nb\u001B[K\n\u001B[J',
      '\u001B[?25h',
      'done\n',
    ]);
  });

  it('has no colours with NO_COLOR, and neither colours nor frames without a terminal', () => {
    const plain = screenOf({ isTTY: true, environment: { NO_COLOR: '1' } });
    expect(plain.screen.paint('bad', 'x')).toBe('x');
    const { screen, written } = screenOf({ isTTY: false });
    screen.draw([screen.paint('bold', 'frame')]);
    screen.say(screen.paint('bold', 'line'));
    screen.end(['end']);
    expect(written).toEqual(['line\n', 'end\n']);
  });
});

function change(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}

/** An index of one customer with an order of two lines, and one without any. */
function documentsFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'demo-look-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'shop.db');
  const lines = '{"quantity" : 2, "price_cents" : 300}, {"quantity" : 1, "price_cents" : 100}';
  change(
    file,
    `CREATE TABLE documents (id INTEGER PRIMARY KEY, order_count, spent_cents, orders_found, spent_found, orders TEXT, _seq INTEGER);
     INSERT INTO documents VALUES (1, 1, 700, 1, 700, '[{"id" : 9, "lines" : [${lines}]}]', 1), (2, 0, 0, 0, 0, '[]', 1);
     CREATE TABLE _tidemark (sink TEXT, seq INTEGER, position TEXT);
     INSERT INTO _tidemark VALUES ('documents', 1, '0/1'), ('customers', 1, '0/1')`,
  );
  return file;
}

function commit(file: string, seq: number, sql: string): void {
  change(file, `BEGIN; ${sql}; UPDATE _tidemark SET seq = ${seq}, position = '0/${seq}'; COMMIT`);
}

function screenOf(options: { isTTY: boolean; columns?: number; rows?: number; environment?: Record<string, string> }): {
  screen: Screen;
  written: string[];
} {
  const written: string[] = [];
  const output = { write: (text: string) => written.push(text), ...options };
  return { screen: new Screen(output, options.environment ?? {}), written };
}

/** An index file that equals table `things` of the database. */
function indexFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'demo-compare-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'search.db');
  change(file, 'CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, at TEXT, _seq INTEGER NOT NULL)');
  change(
    file,
    `INSERT INTO things VALUES (-1, 'a', NULL, 1), (2, 'b', '2024-01-02T03:04:05.6+00:00', 2), (3, '', NULL, 3)`,
  );
  return file;
}
