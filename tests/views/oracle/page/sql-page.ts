import type { Client } from 'pg';
import { isTidemarkError } from '../../../../base/errors.ts';
import { parsePipeTable, relationOf } from '../../../../views/pipe/pipe-table.ts';
import { bindView } from '../../../../views/sql/bind.ts';
import { catalogOf } from '../../../../views/sql/catalog.ts';
import type { Catalog } from '../../../../views/sql/catalog.ts';
import type { ScriptResult } from '../script-run.ts';
import { runScript } from '../script-run.ts';
import { expressionsOf, readChapters, readTables } from './sections.ts';
import type { Chapter, Section } from './sections.ts';

type Answer = ScriptResult['answers'] extends ReadonlyMap<string, infer A> ? A : never;

/**
 * docs/sql.md as it should be: its introduction, which people write, and every example of docs/examples/sql with the answer that the engine
 * and PostgreSQL agree on, or the refusal as the binder words it. Throws where an example is wrong.
 */
export async function sqlPage(text: string, client: Client): Promise<string> {
  const introduction = text.split(/^## /m)[0]?.trimEnd() ?? '';
  const tables = readTables();
  const catalog = catalogOf(
    await Promise.all(tables.tables.map(async (create) => relationOf(await parsePipeTable(create)))),
  );
  const chapters = [];
  for (const chapter of readChapters()) {
    const answers = await answersOf(chapter, client);
    chapters.push(chapterText(chapter, answers, catalog));
  }
  const data = `## The tables of the examples\n\n${fence(tables.text, 'sql')}`;
  return `${[introduction, data, ...chapters].join('\n\n')}\n`;
}

/** Every SELECT of the chapter in one engine, through the tables' filling and a change of every kind that is undone. */
async function answersOf(chapter: Chapter, client: Client): Promise<ReadonlyMap<string, Answer>> {
  const { tables, inserts } = readTables();
  const transactions = [
    ...inserts.toReversed(),
    `DELETE FROM customers WHERE id > 1; UPDATE order_lines SET qty = qty + 1, order_id = 12 WHERE no = 2; UPDATE orders SET status = 'x', customer_id = 3;
     UPDATE products SET tags = '{x}', data = '{}' WHERE sku <> 'mug'; UPDATE payments SET amount = amount / 2, order_id = order_id + 1`,
    ['payments', 'order_lines', 'products', 'orders', 'customers'].map((name) => `DELETE FROM ${name}`).join('; '),
    inserts.join('; '),
  ];
  const views = chapter.sections.flatMap((section, index) => {
    const sql = section.kind === 'refused' ? section.instead?.sql : section.sql;
    if (sql === undefined) return [];
    return [{ name: `e${index}`, key: [], sql: section.kind === 'expressions' ? numbered(sql) : sql }];
  });
  const { answers } = await runScript({ tables, transactions, views, refused: [], note: '' }, client);
  return answers;
}

function numbered(sql: string): string {
  const { expressions, from } = expressionsOf(sql);
  return `SELECT ${expressions.map((expression, index) => `${expression} AS c${index}`).join(', ')} ${from}`;
}

function chapterText(chapter: Chapter, answers: ReadonlyMap<string, Answer>, catalog: Catalog): string {
  const sections = chapter.sections.map((section, index) => sectionText(section, answers.get(`e${index}`), catalog));
  return [`## ${chapter.title}`, chapter.text, ...sections].filter((part) => part !== '').join('\n\n');
}

function sectionText(section: Section, answer: Answer | undefined, catalog: Catalog): string {
  const parts = [`### ${section.kind === 'refused' ? 'Refused: ' : ''}${section.title}`, section.text];
  if (section.kind === 'expressions') {
    parts.push(expressionTable(section, answer));
  } else if (section.kind === 'query') {
    parts.push(fence(section.sql, 'sql'), fence(table(answer), ''));
  } else {
    parts.push(fence(section.sql, 'sql'), fence(refusal(section.sql, catalog), ''));
    if (section.instead !== null) {
      const words = section.instead.words === '' ? 'Instead:' : `Instead, ${section.instead.words}:`;
      parts.push(words, fence(section.instead.sql, 'sql'), fence(table(answer), ''));
    }
  }
  return parts.filter((part) => part !== '').join('\n\n');
}

/** What the binder says; an error when it says nothing. */
function refusal(sql: string, catalog: Catalog): string {
  try {
    bindView({ name: 'example', sql, key: [], catalog });
  } catch (error) {
    if (!isTidemarkError(error, 'VIEW_INVALID')) throw error;
    return error.hint === undefined ? error.message : `${error.message}\n${error.hint}`;
  }
  throw new Error(`an example is said to be refused, and is not: ${sql}`);
}

function expressionTable(section: Section, answer: Answer | undefined): string {
  const { expressions } = expressionsOf(section.sql);
  const lines = expressions.map((expression, index) => {
    const value = answer?.rows[0]?.[index] ?? null;
    return `| ${code(expression)} | ${value === null ? 'NULL' : code(value.replaceAll('\n', ' '))} | ${answer?.types[index] ?? ''} |`;
  });
  return ['| expression | value | type |', '|---|---|---|', ...lines].join('\n');
}

function code(text: string): string {
  return text === '' ? '(empty)' : `\`${text.replaceAll('|', '\\|')}\``;
}

function fence(text: string, language: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

/** Rows under their names, as psql draws them; in an order of their own, since a view has none. */
function table(answer: Answer | undefined): string {
  const columns = answer?.columns ?? [];
  const rows = (answer?.rows ?? []).map((row) => row.map((value) => (value ?? 'NULL').replaceAll(/\n\s*/g, ' ')));
  const widths = columns.map((name, at) => Math.max(name.length, ...rows.map((row) => widthOf(row[at] ?? ''))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell + ' '.repeat(Math.max(0, (widths[at] ?? 0) - widthOf(cell))))
      .join(' | ')
      .trimEnd();
  const sorted = rows.toSorted((a, b) => compare(a, b));
  return [line(columns), widths.map((width) => '-'.repeat(width)).join('-+-'), ...sorted.map(line)].join('\n');
}

function widthOf(text: string): number {
  return Array.from(text).length;
}

function compare(a: readonly string[], b: readonly string[]): number {
  for (const [index, text] of a.entries()) {
    const other = b[index] ?? '';
    if (text === other) continue;
    const difference = Number(text) - Number(other);
    if (!Number.isNaN(difference) && difference !== 0) return difference;
    return text < other ? -1 : 1;
  }
  return 0;
}
