import { posix } from 'node:path';
import type { SourceFile } from './source-files.ts';

/**
 * The rooms and which others each may import, itself aside. `connectors/*` stands for any folder in connectors/, each a room of its own.
 * An arrow that is not here is an error: new ones are a decision about the architecture, made here and in docs.
 */
export const importTable: Readonly<Record<string, readonly string[]>> = {
  base: [],
  model: ['base'],
  snapshot: ['model', 'base'],
  'connectors/*': ['snapshot', 'model', 'base'],
  'log/*': ['model', 'base'],
  views: ['model', 'base'],
  sinks: ['sinks/*', 'model', 'base'],
  'sinks/*': ['sinks', 'model', 'base'],
  config: ['model', 'base'],
  telemetry: ['model', 'base'],
  service: ['telemetry', 'config', 'views', 'sinks', 'sinks/*', 'log/*', 'connectors/*', 'snapshot', 'model', 'base'],
  cli: ['service', 'config', 'telemetry', 'model', 'base'],
  client: [],
};

/** Rooms that may import anything, and that no other room may import. */
export const freeRooms: readonly string[] = ['tests', 'benchmarks', 'tools'];

export interface Import {
  readonly from: string;
  readonly to: string;
  readonly line: number;
  /** Nothing is left of it when the program runs. Rooms are held apart by it all the same: a type is a promise too. */
  readonly isType: boolean;
}

/** The imports of one file of ours from another. */
export function importsOf({ path, text }: SourceFile): Import[] {
  const statement = /^(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'|^import\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm;
  const found: Import[] = [];
  for (const match of text.matchAll(statement)) {
    const target = match[1] ?? match[2] ?? match[3] ?? '';
    if (!target.startsWith('.')) continue;
    const line = text.slice(0, match.index).split('\n').length;
    const isType = /^(?:import|export) type\b/.test(match[0]);
    found.push({ from: path, to: posix.normalize(posix.join(posix.dirname(path), target)), line, isType });
  }
  return found;
}

/** The room of a file as the table names it, and its folder. Null for a file in no room. */
export function roomOf(path: string): { name: string; folder: string } | null {
  const [top = '', second = ''] = path.split('/');
  const isNested = path.split('/').length > 2;
  if (isNested && importTable[`${top}/*`]) return { name: `${top}/*`, folder: `${top}/${second}` };
  if (importTable[top] || freeRooms.includes(top)) return { name: top, folder: top };
  return null;
}

/** Why an import is not allowed, or null when it is. */
export function forbidden({ from, to }: Import): string | null {
  const importing = roomOf(from);
  const imported = roomOf(to);
  if (importing === null || freeRooms.includes(importing.name)) return null;
  if (imported === null) return `${to} is in no room`;
  if (importing.folder === imported.folder) return null;
  if (importing.name === imported.name) return `${importing.folder} must not know ${imported.folder}`;
  return importTable[importing.name]?.includes(imported.name) === true
    ? null
    : `${importing.folder} may import ${importTable[importing.name]?.join(', ') || 'nothing'} only`;
}

/** Rings of files that need each other to run, each once, from its first file in the alphabet. */
export function cycles(imports: readonly Import[]): string[] {
  const targets = new Map<string, string[]>();
  for (const { from, to, isType } of imports) {
    if (!isType) targets.set(from, [...(targets.get(from) ?? []), to]);
  }
  const found = new Set<string>();
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    const at = trail.indexOf(file);
    if (at >= 0) {
      const ring = trail.slice(at);
      const first = ring.indexOf(ring.toSorted()[0] ?? '');
      found.add([...ring.slice(first), ...ring.slice(0, first), ring[first]].join(' → '));
      return;
    }
    if (done.has(file)) return;
    for (const target of targets.get(file) ?? []) visit(target, [...trail, file]);
    done.add(file);
  };
  for (const file of targets.keys()) visit(file, []);
  return [...found];
}
