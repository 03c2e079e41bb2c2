/**
 * A case written down as SQL. Sections begin with `---`:
 *
 *   --- tables                 CREATE TABLE statements
 *   --- transaction            statements of one transaction; any number of these sections
 *   --- view name [key a, b]   a SELECT; a later one may use it by its name
 *   --- refused                a SELECT that views do not take; `message` says what they say
 *   --- message                the text of the refusal above
 *   --- note                   words for people
 */
export interface ScriptCase {
  readonly tables: readonly string[];
  readonly transactions: readonly string[];
  readonly views: readonly ScriptView[];
  readonly refused: readonly { readonly sql: string; readonly message: string }[];
  readonly note: string;
}

export interface ScriptView {
  readonly name: string;
  readonly key: readonly string[];
  readonly sql: string;
}

export function parseScript(text: string): ScriptCase {
  const tables: string[] = [];
  const transactions: string[] = [];
  const views: ScriptView[] = [];
  const refused: { sql: string; message: string }[] = [];
  let note = '';
  for (const section of text.split(/^--- /m).slice(1)) {
    const end = section.indexOf('\n');
    const [kind = '', name = '', ...rest] = section
      .slice(0, end)
      .trim()
      .split(/[\s,]+/);
    const body = section
      .slice(end + 1)
      .trim()
      .replace(/;$/, '');
    if (kind === 'tables') tables.push(...body.split(';').map((statement) => statement.trim()));
    else if (kind === 'transaction') transactions.push(body);
    else if (kind === 'view') views.push({ name, key: rest.slice(1), sql: body });
    else if (kind === 'refused') refused.push({ sql: body, message: '' });
    else if (kind === 'message') refused.push({ sql: refused.pop()?.sql ?? '', message: body });
    else if (kind === 'note') note = body;
    else throw new Error(`a script has no section ${kind}`);
  }
  return { tables, transactions, views, refused, note };
}
