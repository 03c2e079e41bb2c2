import { RowError } from './expression.ts';
import { jsonElements, jsonKind, jsonMembers, skipBlanks, unescapeJson } from './json-scan.ts';
import { jsonString } from './json-text.ts';
import { jsonbArray, jsonbObject } from './jsonb-text.ts';

/** Changes of jsonb values; texts in, texts out, all in jsonb's form. */

function isContainer(text: string): boolean {
  const first = text.charCodeAt(0);
  return first === 0x7b || first === 0x5b;
}

/** `a || b`: two objects are merged, everything else is put one after the other in an array. */
export function concatJsonb(a: string, b: string): string {
  const left = jsonMembers(a);
  const right = jsonMembers(b);
  if (left !== undefined && right !== undefined) return jsonbObject([...left, ...right]);
  return jsonbArray([...(jsonElements(a) ?? [a]), ...(jsonElements(b) ?? [b])]);
}

/** `value - name`, `value - array of names`. */
export function deleteNames(value: string, names: readonly (string | null)[]): string {
  if (!isContainer(value)) throw new RowError('22023', 'cannot delete from scalar');
  const gone = new Set(names);
  const members = jsonMembers(value);
  if (members !== undefined) return jsonbObject(members.filter(([name]) => !gone.has(name)));
  const texts = new Set(names.map((name) => (name === null ? '' : jsonString(name))));
  return jsonbArray((jsonElements(value) ?? []).filter((item) => !texts.has(item)));
}

/** `value - index`. */
export function deleteIndex(value: string, index: number): string {
  if (!isContainer(value)) throw new RowError('22023', 'cannot delete from scalar');
  const items = jsonElements(value);
  if (items === undefined) throw new RowError('22023', 'cannot delete from object using integer index');
  const at = index < 0 ? items.length + index : index;
  return jsonbArray(items.filter((_, position) => position !== at));
}

/** `value #- path`. */
export function deletePath(value: string, path: readonly (string | null)[]): string {
  if (!isContainer(value)) throw new RowError('22023', 'cannot delete path in scalar');
  return path.length === 0 ? value : editAt(value, path, 0, () => undefined, false, 'delete');
}

export function setJsonb(value: string, path: readonly (string | null)[], to: string, create: boolean): string {
  if (!isContainer(value)) throw new RowError('22023', 'cannot set path in scalar');
  return path.length === 0 ? value : editAt(value, path, 0, () => to, create, 'set');
}

export function insertJsonb(value: string, path: readonly (string | null)[], item: string, after: boolean): string {
  if (!isContainer(value)) throw new RowError('22023', 'cannot set path in scalar');
  return path.length === 0 ? value : editAt(value, path, 0, () => item, true, after ? 'after' : 'before');
}

type Mode = 'delete' | 'set' | 'before' | 'after';

/** The container with the part at `path[depth…]` replaced by what `put` gives, or without it for undefined. */
function editAt(
  value: string,
  path: readonly (string | null)[],
  depth: number,
  put: () => string | undefined,
  create: boolean,
  mode: Mode,
): string {
  const step = path[depth] ?? null;
  if (step === null) throw new RowError('22004', `path element at position ${depth + 1} is null`);
  const isLast = depth === path.length - 1;
  const members = jsonMembers(value);
  if (members !== undefined) return editMember(members, step, isLast, path, depth, put, create, mode);
  const items = jsonElements(value);
  if (items === undefined) return value;
  if (items.length === 0 && depth === 0 && !create) return value;
  if (!/^\s*[+-]?\d{1,10}$/.test(step)) {
    throw new RowError('22P02', `path element at position ${depth + 1} is not an integer: "${step}"`);
  }
  const asked = Number(step);
  const index = asked < 0 ? items.length + asked : asked;
  if (index < 0 || index >= items.length) {
    const item = isLast && create ? put() : undefined;
    if (item === undefined) return value;
    return jsonbArray(index < 0 ? [item, ...items] : [...items, item]);
  }
  if (!isLast) {
    return jsonbArray(items.with(index, editAt(items[index] as string, path, depth + 1, put, create, mode)));
  }
  const item = put();
  if (item === undefined) return jsonbArray(items.toSpliced(index, 1));
  if (mode === 'before') return jsonbArray(items.toSpliced(index, 0, item));
  if (mode === 'after') return jsonbArray(items.toSpliced(index + 1, 0, item));
  return jsonbArray(items.with(index, item));
}

function editMember(
  members: readonly [string, string][],
  name: string,
  isLast: boolean,
  path: readonly (string | null)[],
  depth: number,
  put: () => string | undefined,
  create: boolean,
  mode: Mode,
): string {
  const known = members.find(([other]) => other === name);
  if (known === undefined) {
    const item = isLast && create ? put() : undefined;
    return jsonbObject(item === undefined ? members : [...members, [name, item]]);
  }
  if (isLast && (mode === 'before' || mode === 'after')) {
    throw new RowError('22023', 'cannot replace existing key');
  }
  const item = isLast ? put() : editAt(known[1], path, depth + 1, put, create, mode);
  if (item === undefined) return jsonbObject(members.filter(([other]) => other !== name));
  return jsonbObject(members.map(([other, old]) => [other, other === name ? item : old]));
}

/** jsonb_pretty: four blanks a level; empty containers on two lines. */
export function prettyJsonb(value: string, indent = ''): string {
  const inner = `${indent}    `;
  const members = jsonMembers(value);
  if (members !== undefined) {
    const lines = members.map(([name, member]) => `${inner}${jsonString(name)}: ${prettyJsonb(member, inner)}`);
    return lines.length === 0 ? `{\n${indent}}` : `{\n${lines.join(',\n')}\n${indent}}`;
  }
  const items = jsonElements(value);
  if (items === undefined) return value;
  const lines = items.map((item) => inner + prettyJsonb(item, inner));
  return lines.length === 0 ? `[\n${indent}]` : `[\n${lines.join(',\n')}\n${indent}]`;
}

/** Without members that are null, at every depth. For json the text is written anew without blanks. */
export function stripNulls(value: string, isJsonb: boolean): string {
  const text = value.slice(skipBlanks(value, 0));
  const members = jsonMembers(text);
  if (members !== undefined) {
    const kept = members
      .filter(([, member]) => jsonKind(member) !== 'null')
      .map(([name, member]): [string, string] => [name, stripNulls(member, isJsonb)]);
    if (isJsonb) return jsonbObject(kept);
    return `{${kept.map(([name, member]) => `${jsonString(name)}:${member}`).join(',')}}`;
  }
  const items = jsonElements(text)?.map((item) => stripNulls(item, isJsonb));
  if (items === undefined) {
    if (isJsonb) return value;
    return jsonKind(text) === 'string' ? jsonString(unescapeJson(text.trimEnd())) : text.trimEnd();
  }
  return isJsonb ? jsonbArray(items) : `[${items.join(',')}]`;
}
