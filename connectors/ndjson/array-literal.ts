/**
 * The text of a JSON array (valid, as it stands in a line) as PostgreSQL's array literal: `[1,null,["a"]]` becomes `{1,NULL,{"a"}}`. What
 * is in an array of `json` is each an element, inner arrays too.
 */
export function arrayLiteral(json: string, elements: 'json' | 'values'): string {
  let literal = '';
  const isJson = elements === 'json';
  for (let at = 0; at < json.length;) {
    const char = json[at] as string;
    const isInner = isJson && char === '[' && literal !== '';
    if ((char === '[' || char === ']') && !isInner) {
      literal += char === '[' ? '{' : '}';
      at++;
    } else if (char === ',') {
      literal += char;
      at++;
    } else if (char === '"') {
      const end = endOfString(json, at);
      const text = json.slice(at, end);
      literal += quoted(isJson ? text : (JSON.parse(text) as string));
      at = end;
    } else if (char === '{' || isInner) {
      const end = endOfNested(json, at);
      literal += quoted(json.slice(at, end));
      at = end;
    } else if (/\s/.test(char)) {
      at++;
    } else {
      const word = /^[^\s,\]]+/.exec(json.slice(at))?.[0] ?? char;
      literal += word === 'null' ? 'NULL' : word;
      at += word.length;
    }
  }
  return literal;
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

function endOfNested(json: string, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const char = json[at];
    if (char === '"') at = endOfString(json, at) - 1;
    else if (char === '{' || char === '[') depth++;
    else if ((char === '}' || char === ']') && --depth === 0) return at + 1;
  }
  return json.length;
}
