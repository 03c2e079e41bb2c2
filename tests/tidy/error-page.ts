/**
 * Holds docs/errors.md and base/errors.ts together. `node tests/tidy/error-page.ts` writes each code's heading and first
 * paragraph into the page and keeps the remedies, which people write; a new code gets a section without one, which a test refuses.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCodes } from '../../base/errors.ts';
import { root } from './source-files.ts';

export const errorPage = join(root, 'docs/errors.md');

/** The page as it should be: the codes in the order of base/errors.ts, with the remedies that `text` has for them. */
export function withCodes(text: string): string {
  const [introduction = ''] = text.split(/^## /m);
  const remedies = remediesIn(text);
  const sections = Object.entries(errorCodes).map(([code, { about, exit }]) => {
    const remedy = remedies.get(code) ?? '';
    return `## ${code}\n\n${about} Exit code ${exit}.\n${remedy === '' ? '' : `\n${remedy}\n`}`;
  });
  return `${introduction.trimEnd()}\n\n${sections.join('\n')}`;
}

/** What the page says to do, by code: everything of a section after its first paragraph. */
export function remediesIn(text: string): Map<string, string> {
  const sections = text.split(/^## /m).slice(1);
  return new Map(
    sections.map((section) => {
      const [code = '', , ...rest] = section.split(/\n\n/);
      return [code.trim(), rest.join('\n\n').trim()];
    }),
  );
}

if (import.meta.main) writeFileSync(errorPage, withCodes(readFileSync(errorPage, 'utf8')));
