/** Texts and numbers of JSON; what else stands between them is left as it is. */
const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** What a quoted number begins with. No text of ours begins with it by chance: control characters are escaped in JSON. */
const mark = '\\u0000';

/** The JSON text with each number as a text that holds its digits, so that a parser leaves them alone. `withNumbers` takes it back. */
export function withQuotedNumbers(json: string): string {
  return json.replace(tokens, (token) => (token.startsWith('"') ? token : `"${mark}${token}"`));
}

/** The JSON text with the quoted numbers of `withQuotedNumbers` as numbers again. */
export function withNumbers(json: string): string {
  return json.replace(/"\\u0000([^"\\]*)"/g, '$1');
}

/** Whether two JSON texts say the same, digit by digit, whatever the order of their members. False when one is no JSON. */
export function isSameJson(a: string, b: string): boolean {
  const [first, second] = [canonical(a), canonical(b)];
  return first !== null && first === second;
}

function canonical(json: string): string | null {
  try {
    return JSON.stringify(JSON.parse(withQuotedNumbers(json)), (_, value: unknown) => sorted(value));
  } catch {
    return null;
  }
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
