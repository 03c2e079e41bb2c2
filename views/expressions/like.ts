import { RowError } from './expression.ts';

/** LIKE: `%` any characters, `_` one, a backslash takes the character after it literally. */
export function likeMatcher(pattern: string): (text: string) => boolean {
  const plain = /^(%?)([^%_\\]*)(%?)$/.exec(pattern);
  if (plain !== null) return plainMatcher(plain[2] ?? '', plain[1] !== '', plain[3] !== '');
  const { source, dangling } = sourceOf(pattern);
  const regex = new RegExp(`^${source}$`, 'su');
  if (!dangling) return (text) => regex.test(text);
  // Only a text that gets as far as the lone escape character tells that nothing follows it.
  const reached = new RegExp(`^${source}.`, 'su');
  return (text) => {
    if (reached.test(text)) throw new RowError('22025', 'LIKE pattern must not end with escape character');
    return false;
  };
}

function plainMatcher(part: string, before: boolean, after: boolean): (text: string) => boolean {
  if (before && after) return (text) => text.includes(part);
  if (before) return (text) => text.endsWith(part);
  if (after) return (text) => text.startsWith(part);
  return (text) => text === part;
}

function sourceOf(pattern: string): { readonly source: string; readonly dangling: boolean } {
  let source = '';
  let escaped = false;
  for (const character of pattern) {
    if (escaped) {
      source += literal(character);
      escaped = false;
    } else if (character === '\\') escaped = true;
    else if (character === '%') source += source.endsWith('.*') ? '' : '.*';
    else source += character === '_' ? '.' : literal(character);
  }
  return { source, dangling: escaped };
}

/** A regular expression with flag u takes these after a backslash, and nothing else. */
function literal(character: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character;
}
