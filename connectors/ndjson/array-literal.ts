/** The text of a JSON array (valid, as it stands in a line) as PostgreSQL's array literal: `[1,null,["a"]]` becomes `{1,NULL,{"a"}}`. */
export function arrayLiteral(json: string): string {
  let literal = '';
  for (let at = 0; at < json.length;) {
    const char = json[at] as string;
    if (char === '[' || char === ']') {
      literal += char === '[' ? '{' : '}';
      at++;
    } else if (char === ',') {
      literal += char;
      at++;
    } else if (char === '"') {
      const end = endOfString(json, at);
      literal += quoted(JSON.parse(json.slice(at, end)) as string);
      at = end;
    } else if (char === '{') {
      const end = endOfObject(json, at);
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

function endOfObject(json: string, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const char = json[at];
    if (char === '"') at = endOfString(json, at) - 1;
    else if (char === '{') depth++;
    else if (char === '}' && --depth === 0) return at + 1;
  }
  return json.length;
}
