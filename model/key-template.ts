/**
 * The form of keys in a key-value store: text in which `{column}` stands for the value of a column of the row's key, and `{*}` for all
 * of the key's columns, in their order, with a `:` between them. `{{` and `}}` stand for a brace.
 */
export type KeyTemplate = readonly KeyTemplatePart[];

export type KeyTemplatePart =
  | { readonly text: string }
  /** The name of a column as the sink calls it; null for the whole key. */
  | { readonly column: string | null };

const partForm = /([^{}]+)|\{\{|\}\}|\{([^{}]+)\}/y;

/** The parts of a template, texts and columns; null where a brace is open, empty or alone. */
export function parseKeyTemplate(template: string): KeyTemplate | null {
  const parts: KeyTemplatePart[] = [];
  let text = '';
  partForm.lastIndex = 0;
  while (partForm.lastIndex < template.length) {
    const match = partForm.exec(template);
    if (match === null) return null;
    const [whole, plain, column] = match;
    if (column === undefined) {
      text += plain ?? whole[0] ?? '';
      continue;
    }
    if (text !== '') parts.push({ text });
    text = '';
    parts.push({ column: column === '*' ? null : column });
  }
  if (text !== '') parts.push({ text });
  return parts;
}

/** A text as a template that gives it unchanged. */
export function literalTemplate(text: string): string {
  return text.replaceAll(/[{}]/g, '$&$&');
}
