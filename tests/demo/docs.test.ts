import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importTable } from '../tidy/import-table.ts';
import { repositoryFiles } from '../tidy/source-files.ts';
import { root } from './shop.ts';

const pages = repositoryFiles().filter(({ path }) => path.endsWith('.md'));

/** The anchors that a page's headings get, as GitHub makes them. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replaceAll(/^```.*?^```/gms, '').matchAll(/^#+ (.*)$/gm);
  return new Set(
    Array.from(headings, ([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe('a page', () => {
  it('links to files and headings that there are', () => {
    const links = pages
      .flatMap(({ path, text }) =>
        Array.from(text.replaceAll(/^```.*?^```/gms, '').matchAll(/\]\(([^)\s]+)\)/g), ([, link = '']) => ({
          path,
          link,
        })),
      )
      .filter(({ link }) => !/^https?:/.test(link));
    const broken = links.filter(({ path, link }) => {
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? join(root, path) : join(root, dirname(path), file);
      if (!existsSync(target)) return true;
      return anchor !== undefined && !anchorsOf(readFileSync(target, 'utf8')).has(anchor);
    });
    expect(broken).toEqual([]);
    expect(links.length).toBeGreaterThan(40);
  });

  it('names files of the sources that there are', () => {
    const named = pages.flatMap(({ path, text }) =>
      Array.from(text.matchAll(/`((?:[a-z-]+\/)+[a-z.-]+\.(?:ts|sql|yaml))`/g), ([, file = '']) => ({ path, file })),
    );
    expect(named.filter(({ file }) => !existsSync(join(root, file)))).toEqual([]);
    expect(named.length).toBeGreaterThan(10);
  });

  it('is in the index of docs/', () => {
    const index = readFileSync(join(root, 'docs/README.md'), 'utf8');
    const missing = pages
      .map(({ path }) => path)
      .filter((path) => path.startsWith('docs/') && path !== 'docs/README.md')
      .filter((path) => !index.includes(`](${path.slice('docs/'.length)})`));
    expect(missing).toEqual([]);
  });
});

describe('docs/architecture.md', () => {
  it('has every room of the import table', () => {
    const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
    const rooms = Array.from(page.matchAll(/^\| (`[a-z/<>*`, ]+) \|/gm), ([, cell = '']) => cell).join(' ');
    const missing = Object.keys(importTable).filter((room) => !rooms.includes(`\`${room.replace('/*', '/')}`));
    expect(missing).toEqual([]);
  });
});
