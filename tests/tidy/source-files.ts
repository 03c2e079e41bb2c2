import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

export interface SourceFile {
  /** From the repository's top, with `/` between folders. */
  readonly path: string;
  readonly text: string;
}

export const root = join(import.meta.dirname, '../..');

/** What is made by tools or by running the program, and not by us. */
const skipped = new Set(['node_modules', 'dist', 'data', '.git', '.cache']);

const textFile = /\.(ts|js|cjs|mjs|json|md|yaml|yml|svg|sh|html|css|sql|txt)$|(^|\/)(run|tidemark|LICENSE|\.[a-z]+)$/;

/** Every text file of the repository. */
export function repositoryFiles(): SourceFile[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((path) => textFile.test(path) && !path.split('/').some((part) => skipped.has(part)))
    .toSorted()
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

/** The folder at the top that a file is in; empty for files at the top itself. */
export function topFolder(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '') : '';
}

/** The line, from 1, of an offset in a text. */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}
