import * as fc from 'fast-check';

/**
 * Expressions from templates: `{{name}}` stands for one of the texts of that pool, each time another. Pools may name other pools.
 */
export function fromTemplates(
  templates: readonly string[],
  pools: Readonly<Record<string, readonly string[]>>,
): fc.Arbitrary<string> {
  return fc.constantFrom(...templates).chain((template) => filled(template, pools));
}

function filled(template: string, pools: Readonly<Record<string, readonly string[]>>): fc.Arbitrary<string> {
  const parts = template.split(/\{\{(\w+)\}\}/);
  if (parts.length === 1) return fc.constant(template);
  return fc
    .tuple(
      ...parts.map((part, index) =>
        index % 2 === 0
          ? fc.constant(part)
          : fc.constantFrom(...(pools[part] ?? [])).chain((text) => filled(text, pools)),
      ),
    )
    .map((texts) => texts.join(''));
}

export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
