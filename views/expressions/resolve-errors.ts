import { SqlError } from '../sql/sql-error.ts';
import { typeName } from '../type.ts';
import type { SqlType } from '../type.ts';
import { functionNames } from './registry.ts';
import type { Overload } from './resolve-candidates.ts';

interface Refusal {
  readonly message: string;
  readonly hint: string;
}

const clock = 'Compare with a column of the rows instead: a view depends on nothing but its tables.';
const chance = 'Use a column of the rows instead: a view depends on nothing but its tables.';
const session = 'Write the value as a literal: a view does not know a session.';

/** Functions whose result depends on more than their arguments. */
const volatile: Readonly<Record<string, string>> = {
  now: clock,
  current_timestamp: clock,
  current_date: clock,
  current_time: clock,
  localtime: clock,
  localtimestamp: clock,
  transaction_timestamp: clock,
  statement_timestamp: clock,
  clock_timestamp: clock,
  timeofday: clock,
  random: chance,
  random_normal: chance,
  setseed: chance,
  gen_random_uuid: chance,
  uuidv4: chance,
  uuidv7: chance,
  nextval: chance,
  currval: chance,
  lastval: chance,
  setval: chance,
  txid_current: chance,
  pg_current_xact_id: chance,
  pg_sleep: chance,
  pg_backend_pid: session,
  current_user: session,
  session_user: session,
  current_role: session,
  current_schema: session,
  current_database: session,
  current_catalog: session,
  current_setting: session,
  set_config: session,
  version: session,
};

/** Functions whose last digits are those of the C library that PostgreSQL was built with, and differ from one to the next. */
const transcendental: ReadonlySet<string> = new Set(
  [
    'exp ln log log10 cbrt erf erfc gamma lgamma sin cos tan cot asin acos atan atan2 sinh cosh tanh asinh acosh atanh',
    'sind cosd tand cotd asind acosd atand atan2d',
  ].flatMap((names) => names.split(' ')),
);

/** Why a view may not call a function; null when it may. */
export function refusal(name: string, args: number): Refusal | null {
  if (transcendental.has(name)) {
    return {
      message: `${name}() is not supported in views: its last digits differ between builds of PostgreSQL`,
      hint: 'Compute it where the view is read, or store it in a column. sqrt() and power() are exact.',
    };
  }
  const hint = Object.hasOwn(volatile, name) ? volatile[name] : undefined;
  if (hint === undefined && !(name === 'age' && args === 1)) return null;
  if (hint === undefined) {
    return {
      message: 'age() with one argument is not supported in views: it depends on the current date',
      hint: 'Give both: age(a, b).',
    };
  }
  return { message: `${name}() is not supported in views: its result is not a function of the rows`, hint };
}

export function noFunction(
  name: string,
  types: readonly SqlType[],
  overloads: readonly Overload[],
  location: number,
): SqlError {
  const message = `function ${name}(${types.map(typeName).join(', ')}) does not exist`;
  if (overloads.length > 0) {
    return new SqlError(message, location, `There is ${list(overloads.map((overload) => signature(name, overload)))}.`);
  }
  const nearest = nearestName(name);
  return new SqlError(
    message,
    location,
    nearest === null ? 'docs/sql.md lists the functions that views may call.' : `Perhaps you meant ${nearest}().`,
  );
}

export function noOperator(
  op: string,
  text: string,
  types: readonly SqlType[],
  overloads: readonly Overload[],
  location: number,
): SqlError {
  const near = overloads.filter(({ args }) =>
    args.some((arg, index) => types[index] !== undefined && named(types[index], arg)),
  );
  const hint =
    near.length === 0
      ? 'Add explicit type casts, if one type can stand for the other.'
      : `There is ${list(near.map(({ args }) => (args.length === 1 ? `${op} ${args[0]}` : `${args[0]} ${op} ${args[1]}`)))}.`;
  return new SqlError(`operator does not exist: ${text}`, location, hint);
}

function named(type: SqlType, arg: string): boolean {
  return type.kind === 'scalar' && type.name === arg;
}

function signature(name: string, { args, variadic }: Overload): string {
  return `${name}(${args.join(', ')}${variadic === true ? ', …' : ''})`;
}

function list(items: readonly string[]): string {
  const shown = [...new Set(items)].slice(0, 4);
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

function nearestName(name: string): string | null {
  let best: string | null = null;
  let least = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const known of functionNames()) {
    const distance = editDistance(name, known, least);
    if (distance < least) {
      best = known;
      least = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
