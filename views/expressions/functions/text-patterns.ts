import { lowerCase } from '../characters.ts';
import { RowError } from '../expression.ts';
import { likeMatcher } from '../like.ts';
import { regexMatcher } from '../regex.ts';
import { define, definePolymorphic } from './definition.ts';
import type { ArgType, FunctionDefinition } from './definition.ts';

type Matcher = (text: string) => boolean;

export const patternOperators: readonly FunctionDefinition[] = [
  ...likes(['text', 'text']),
  ...likes(['bpchar', 'text']),
  define('~~', ['bytea', 'bytea'], 'bool', bytesLike, { mayFail: true }),
  define('!~~', ['bytea', 'bytea'], 'bool', (hex: string, by: string) => !bytesLike(hex, by), { mayFail: true }),
  ...matches('~', '!~', (source) => regexMatcher(source, '')),
  ...matches('~*', '!~*', (source) => regexMatcher(source, 'i')),
];

export const patternFunctions: readonly FunctionDefinition[] = [
  define('like_escape', ['text', 'text'], 'text', likeEscape, { mayFail: true }),
];

function likes(args: readonly ArgType[]): FunctionDefinition[] {
  return [
    pattern('~~', args, likeMatcher, true),
    pattern('!~~', args, likeMatcher, false),
    pattern('~~*', args, insensitiveLike, true),
    pattern('!~~*', args, insensitiveLike, false),
  ];
}

/** Each byte is a character. */
function bytesLike(hex: string, by: string): boolean {
  return likeMatcher(latin(by))(latin(hex));
}

function latin(hex: string): string {
  return Buffer.from(hex.slice(2), 'hex').toString('latin1');
}

function insensitiveLike(text: string): Matcher {
  const matcher = likeMatcher(lowerCase(text));
  return (value) => matcher(lowerCase(value));
}

function matches(positive: string, negative: string, matcherOf: (pattern: string) => Matcher): FunctionDefinition[] {
  return [['text', 'text'] as const, ['bpchar', 'text'] as const].flatMap((args) => [
    pattern(positive, args, matcherOf, true),
    pattern(negative, args, matcherOf, false),
  ]);
}

/** A pattern is made into a matcher when it is not the one of the row before. */
function pattern(
  name: string,
  args: readonly ArgType[],
  matcherOf: (pattern: string) => Matcher,
  sense: boolean,
): FunctionDefinition {
  return definePolymorphic(
    name,
    args,
    'bool',
    () => {
      let last: string | null = null;
      let matcher: Matcher | null = null;
      return (value: string, by: string) => {
        if (matcher === null || by !== last) {
          matcher = matcherOf(by);
          last = by;
        }
        return matcher(value) === sense;
      };
    },
    { mayFail: true },
  );
}

/** LIKE … ESCAPE: the pattern with a backslash in the place of the escape character. */
function likeEscape(text: string, escape: string): string {
  const [character, second] = escape;
  if (character === undefined) return text.replaceAll('\\', '\\\\');
  if (second !== undefined) throw new RowError('22025', 'invalid escape string');
  if (character === '\\') return text;
  let result = '';
  let escaped = false;
  for (const next of text) {
    if (next === character && !escaped) {
      result += '\\';
      escaped = true;
    } else {
      result += next === '\\' && !escaped ? '\\\\' : next;
      escaped = false;
    }
  }
  return result;
}
