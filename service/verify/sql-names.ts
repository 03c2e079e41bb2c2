import { TidemarkError } from '../../base/errors.ts';
import type { FromItem } from '../../model/source.ts';
import { parseStatements } from '../../views/sql/parse.ts';

/** A table named in a query's text. */
interface Mention {
  readonly relation: string;
  /** Bytes of the text that are the name. */
  readonly start: number;
  readonly end: number;
  /** The name to give what takes its place; null where the query gives one itself. */
  readonly alias: string | null;
}

/** What the parser says of a table's name. */
interface RangeVar {
  readonly catalogname?: string;
  readonly schemaname?: string;
  readonly relname?: string;
  readonly alias?: object;
  readonly location?: number;
}

/** The text of a query with the places at which it names tables and views, so that others can take their places. */
export class SqlNames {
  readonly #text: Buffer;
  readonly #mentions: readonly Mention[];

  /** `relations` are the topics of tables and views. VIEW_INVALID when it cannot be told which names mean which, with a sentence for people. */
  constructor(sql: string, relations: readonly string[]) {
    const tree = parseStatements(sql);
    const [{ location, length } = { location: 0, length: 0 }] = tree;
    // What stands behind a semicolon is no part of a query that is put into another one.
    this.#text = Buffer.from(sql).subarray(0, length === 0 ? undefined : location + length);
    const ctes = new Set<string>();
    const ranges: RangeVar[] = [];
    walk(tree, (name, value) => {
      if (name === 'CommonTableExpr' && 'ctename' in value) ctes.add(String(value.ctename));
      if (name === 'RangeVar') ranges.push(value);
    });
    this.#mentions = ranges
      .flatMap((range) => this.#mention(range, relations, ctes))
      .toSorted((a, b) => a.start - b.start);
  }

  /** The text with what `from` has for each relation in the place of its name. */
  replaced(from: ReadonlyMap<string, FromItem>): string {
    let text = '';
    let at = 0;
    for (const { relation, start, end, alias } of this.#mentions) {
      const item = from.get(relation);
      if (item === undefined) continue;
      text += this.#text.toString('utf8', at, start) + item.sql;
      // A table has its own name, under which `schema.table.column` finds it too.
      if (alias !== null && !item.isTable) text += ` AS ${quoted(alias)}`;
      at = end;
    }
    return text + this.#text.toString('utf8', at);
  }

  #mention(range: RangeVar, relations: readonly string[], ctes: ReadonlySet<string>): Mention[] {
    const { catalogname, schemaname, relname = '', location = 0 } = range;
    const parts = [catalogname, schemaname, relname].filter((part) => part !== undefined && part !== '');
    const suffix = parts.join('.');
    const meant = relations.filter((relation) => relation === suffix || relation.endsWith(`.${suffix}`));
    const [relation, another] = meant;
    if (relation === undefined) return [];
    if (another !== undefined) throw unclear(`'${suffix}' may be any of ${meant.join(', ')}`);
    if (parts.length === 1 && ctes.has(relname))
      throw unclear(`'${relname}' is a table's name and that of a WITH query`);
    const start = location;
    const end = this.#endOfName(start, parts.length);
    return [{ relation, start, end, alias: range.alias === undefined ? relname : null }];
  }

  /** Where a name of so many parts ends that begins at `start`. */
  #endOfName(start: number, parts: number): number {
    const part = String.raw`(?:"(?:[^"]|"")*"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*)`;
    const form = new RegExp(String.raw`${part}(?:\s*\.\s*${part}){${parts - 1}}`, 'y');
    form.lastIndex = start;
    // A character a byte, so that places are the parser's.
    if (!form.test(this.#text.toString('latin1'))) throw unclear('a table is named in a way that cannot be followed');
    return form.lastIndex;
  }
}

function walk(value: unknown, visitor: (name: string, value: object) => void): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, child] of Object.entries(value)) {
    if (typeof child === 'object' && child !== null) visitor(name, child);
    walk(child, visitor);
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function unclear(why: string): TidemarkError {
  return new TidemarkError('VIEW_INVALID', `the query of the view cannot be run at its source: ${why}`);
}
