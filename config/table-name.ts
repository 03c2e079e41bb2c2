/** One part of a name: as it is in the database, and whether `*` and `?` in it stand for other characters. */
export interface NamePart {
  readonly text: string;
  readonly isPattern: boolean;
}

const partForm = /^(?:"((?:[^"]|"")+)"|([^".\s]+))(?=\.|$)/;

/**
 * The parts of a name like `public.orders`, `public."Order.Lines"` or `public.order_*`; null when it is not one. A quoted part
 * may hold dots and is never a pattern. Unquoted parts keep their letters' case, as the file writes them.
 */
export function parseName(text: string): readonly NamePart[] | null {
  const parts: NamePart[] = [];
  let at = 0;
  for (;;) {
    const match = partForm.exec(text.slice(at));
    if (!match) return null;
    const quoted = match[1];
    const plain = match[2] ?? '';
    parts.push(
      quoted === undefined
        ? { text: plain, isPattern: /[*?]/.test(plain) }
        : { text: quoted.replaceAll('""', '"'), isPattern: false },
    );
    at += match[0].length;
    if (at === text.length) return parts;
    at++;
  }
}

/** Whether a name of the database is the part's, or matches its pattern. */
export function partMatches(part: NamePart, name: string): boolean {
  return part.isPattern ? globMatches(part.text, name) : part.text === name;
}

/** Whether `from` (of a sink) names the table with these parts: source, schema, table. Any suffix does. */
export function namesTable(from: string, table: readonly [source: string, schema: string, table: string]): boolean {
  const parts = parseName(from);
  if (parts === null || parts.length > 3) return false;
  return parts.every((part, index) => part.text === table[table.length - parts.length + index]);
}

/** The last part of a name: what a sink calls its table when it is not told. The text itself when it is no name. */
export function lastPart(name: string): string {
  return parseName(name)?.at(-1)?.text ?? name;
}

/** `*` stands for any characters, `?` for one. Linear in time for one `*`, and never worse than the product of the lengths. */
function globMatches(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  let index = 0;
  while (index < name.length) {
    if (pattern[at] === '*') {
      star = at++;
      resume = index;
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[index])) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}
