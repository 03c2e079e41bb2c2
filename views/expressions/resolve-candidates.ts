import type { ArgType } from './functions/definition.ts';
import { categoryOf, isImplicit, isPreferred, isUnknown } from './resolve-types.ts';
import { sameType, sqlScalar } from '../type.ts';
import type { SqlName, SqlType } from '../type.ts';

/** What functions, operators and aggregates have in common as far as choosing among them goes. */
export interface Overload {
  readonly args: readonly ArgType[];
  readonly result: ArgType;
  readonly variadic?: boolean;
}

/** An overload with its parameters' types for one call. */
export interface Candidate<T extends Overload> {
  readonly overload: T;
  readonly types: readonly SqlType[];
  readonly result: SqlType;
  /** For each parameter, its type as declared: null for pseudo types, which never are an exact match. */
  readonly declared: readonly (SqlType | null)[];
}

/**
 * The overload that a call means (func_select_candidate of parse_func.c, and the manual's sections 10.2 and 10.3): an exact match, else
 * of those to whose parameters the arguments can be cast implicitly the one that is left after each rule. null: none; 'ambiguous':
 * several.
 */
export function selectOverload<T extends Overload>(
  overloads: readonly T[],
  args: readonly SqlType[],
): Candidate<T> | 'ambiguous' | null {
  const usable: Candidate<T>[] = [];
  for (const overload of overloads) {
    const candidate = instantiate(overload, args);
    if (candidate === null) continue;
    if (args.every((type, index) => isExact(candidate, index, type))) return candidate;
    usable.push(candidate);
  }
  if (usable.length < 2) return usable[0] ?? null;
  let left = most(usable, (candidate) => count(args, (type, index) => isExact(candidate, index, type)));
  if (left.length > 1) {
    left = most(left, (candidate) =>
      count(
        args,
        (type, index) => !isUnknown(type) && (isExact(candidate, index, type) || prefers(candidate, index, type)),
      ),
    );
  }
  if (left.length > 1) left = byUnknowns(left, args);
  return left.length === 1 ? (left[0] as Candidate<T>) : 'ambiguous';
}

function isExact(candidate: Candidate<Overload>, index: number, type: SqlType): boolean {
  const declared = candidate.declared[index];
  return declared !== null && declared !== undefined && sameType(declared, type);
}

function prefers(candidate: Candidate<Overload>, index: number, type: SqlType): boolean {
  const declared = candidate.declared[index];
  return (
    declared !== null && declared !== undefined && isPreferred(declared) && categoryOf(declared) === categoryOf(type)
  );
}

function count(types: readonly SqlType[], test: (type: SqlType, index: number) => boolean): number {
  return types.reduce((sum, type, index) => sum + (test(type, index) ? 1 : 0), 0);
}

function most<T>(items: readonly T[], score: (item: T) => number): readonly T[] {
  const scores = items.map(score);
  const best = Math.max(...scores);
  return items.filter((_, index) => scores[index] === best);
}

/** The last rules: literals without a type are text if that is among the choices, else what all choices agree on, else what the others are. */
function byUnknowns<T extends Overload>(
  candidates: readonly Candidate<T>[],
  args: readonly SqlType[],
): readonly Candidate<T>[] {
  const unknowns = args.flatMap((type, index) => (isUnknown(type) ? [index] : []));
  if (unknowns.length === 0) return candidates;
  const slots = unknowns.map((index) => slotOf(candidates, index));
  let left = candidates;
  if (slots.every((slot) => slot !== null)) {
    const kept = candidates.filter((candidate) =>
      slots.every(({ category, preferred }, at) => {
        const declared = candidate.declared[unknowns[at] as number] ?? null;
        return (
          categoryOfDeclared(declared) === category && (!preferred || (declared !== null && isPreferred(declared)))
        );
      }),
    );
    if (kept.length > 0) left = kept;
    if (left.length === 1) return left;
  }
  const known = args.filter((type) => !isUnknown(type));
  const [first] = known;
  if (first === undefined || !known.every((type) => sameType(type, first))) return left;
  const assumed = args.map(() => first);
  const fitting = left.filter(({ overload }) => instantiate(overload, assumed) !== null);
  return fitting.length === 1 ? fitting : left;
}

/** What the candidates take at a place: one category, or text among several; null when they do not agree. */
function slotOf(
  candidates: readonly Candidate<Overload>[],
  index: number,
): { readonly category: string; readonly preferred: boolean } | null {
  let category: string | null = null;
  let preferred = false;
  let conflict = false;
  for (const candidate of candidates) {
    const declared = candidate.declared[index] ?? null;
    const own = categoryOfDeclared(declared);
    const ownPreferred = declared !== null && isPreferred(declared);
    if (category === null || (own !== category && own === 'S')) {
      category = own;
      preferred = ownPreferred;
    } else if (own === category) preferred ||= ownPreferred;
    else conflict = true;
  }
  return category === null || (conflict && category !== 'S') ? null : { category, preferred };
}

function categoryOfDeclared(type: SqlType | null): string {
  return type === null ? 'P' : categoryOf(type);
}

/** The overload for a call with these arguments; null when there are more or fewer, or one cannot be cast. */
function instantiate<T extends Overload>(overload: T, args: readonly SqlType[]): Candidate<T> | null {
  const { args: parameters, variadic = false } = overload;
  if (variadic ? args.length < parameters.length : args.length !== parameters.length) return null;
  const slots = args.map((_, index) => parameters[Math.min(index, parameters.length - 1)] as ArgType);
  const generic = genericTypes(slots, args);
  if (generic === null) return null;
  const types: SqlType[] = [];
  const declared: (SqlType | null)[] = [];
  for (const [index, slot] of slots.entries()) {
    const actual = args[index] as SqlType;
    const own = plainType(slot);
    const type = own ?? generic.of(slot, actual);
    if (type === null || !isImplicit(actual, type)) return null;
    types.push(type);
    declared.push(own);
  }
  const result = plainType(overload.result) ?? generic.of(overload.result, sqlScalar('text'));
  return result === null ? null : { overload, types, declared, result };
}

/** A declared type that is no pseudo type. */
function plainType(type: ArgType): SqlType | null {
  if (pseudo.has(type)) return null;
  if (type.endsWith('[]')) return { kind: 'array', element: sqlScalar(type.slice(0, -2) as SqlName) };
  return sqlScalar(type as SqlName);
}

/** `other` stands for the one such type of a call. */
const pseudo: ReadonlySet<ArgType> = new Set([
  'any',
  'anyelement',
  'anynonarray',
  'anyarray',
  'anycompatible',
  'anycompatiblearray',
  'record',
  'other',
]);

interface GenericTypes {
  /** What a pseudo type stands for; null when the argument does not fit. */
  of(slot: ArgType, actual: SqlType): SqlType | null;
}

/** null when the arguments of pseudo types do not go together. */
function genericTypes(slots: readonly ArgType[], args: readonly SqlType[]): GenericTypes | null {
  const same = new Set<ArgType>(['anyelement', 'anynonarray', 'anyarray']);
  const compatible = new Set<ArgType>(['anycompatible', 'anycompatiblearray']);
  const element = agreed(elementsOf(slots, args, same), false);
  const common = agreed(elementsOf(slots, args, compatible), true);
  if (element === 'conflict' || common === 'conflict') return null;
  return {
    of: (slot, actual) => {
      switch (slot) {
        case 'any':
          return isUnknown(actual) ? sqlScalar('text') : actual;
        case 'anyelement':
          return element;
        case 'anynonarray':
          return element?.kind === 'array' ? null : element;
        case 'anyarray':
          return element === null ? null : { kind: 'array', element };
        case 'anycompatible':
          return common ?? sqlScalar('text');
        case 'anycompatiblearray':
          return { kind: 'array', element: common ?? sqlScalar('text') };
        case 'record':
          return actual.kind === 'record' ? actual : null;
        default:
          return args.find((type) => type.kind === 'scalar' && type.name === 'other') ?? null;
      }
    },
  };
}

/** The element types that the arguments of a family of pseudo types bring; null for one that is no array where one must stand. */
function elementsOf(
  slots: readonly ArgType[],
  args: readonly SqlType[],
  family: ReadonlySet<ArgType>,
): readonly (SqlType | null)[] {
  return slots.flatMap((slot, index) => {
    const actual = args[index] as SqlType;
    if (!family.has(slot) || isUnknown(actual)) return [];
    if (!slot.endsWith('array') || slot === 'anynonarray') return [actual];
    return [actual.kind === 'array' ? actual.element : null];
  });
}

function agreed(elements: readonly (SqlType | null)[], cast: boolean): SqlType | null | 'conflict' {
  let agreedOn: SqlType | null = null;
  for (const element of elements) {
    if (element === null) return 'conflict';
    if (agreedOn === null || sameType(agreedOn, element)) agreedOn = element;
    else if (!cast) return 'conflict';
    else {
      const wider: SqlType | null = widerOf(agreedOn, element);
      if (wider === null) return 'conflict';
      agreedOn = wider;
    }
  }
  return agreedOn;
}

/** One step of select_common_type: null when the types are of different categories. */
export function widerOf(type: SqlType, next: SqlType): SqlType | null {
  if (isUnknown(type)) return next;
  if (isUnknown(next) || sameType(type, next)) return type;
  if (categoryOf(type) !== categoryOf(next)) return null;
  return !isPreferred(type) && isImplicit(type, next) && !isImplicit(next, type) ? next : type;
}
