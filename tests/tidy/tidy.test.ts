import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errorCodes } from '../../base/errors.ts';
import { errorPage, remediesIn, withCodes } from './error-page.ts';
import { cycles, forbidden, freeRooms, importTable, importsOf, roomOf } from './import-table.ts';
import { lineOf, repositoryFiles, topFolder } from './source-files.ts';
import type { SourceFile } from './source-files.ts';

const files = repositoryFiles();
const sources = files.filter(({ path }) => path.endsWith('.ts'));
const program = sources.filter(({ path }) => {
  const top = topFolder(path);
  return top !== '' && !freeRooms.includes(top);
});

/** Every place of `files` where the pattern (with flag g) matches, as `path:line`. */
function places(among: readonly SourceFile[], pattern: RegExp): string[] {
  return among.flatMap(({ path, text }) =>
    [...text.matchAll(pattern)].map(({ index, 0: match }) => `${path}:${lineOf(text, index)}: ${match.trim()}`),
  );
}

function reasonOf(from: string, to: string): string | null {
  return forbidden({ from, to, line: 1, isType: true });
}

describe('the import table', () => {
  const imports = sources.flatMap(importsOf);

  it('is kept by every import', () => {
    const wrong = imports.flatMap((found) => {
      const reason = forbidden(found);
      return reason === null ? [] : [`${found.from}:${found.line} imports ${found.to}: ${reason}`];
    });
    expect(wrong).toEqual([]);
  });

  it('names every room that there is', () => {
    expect(program.filter(({ path }) => roomOf(path) === null).map(({ path }) => path)).toEqual([]);
    expect(program.length).toBeGreaterThan(20);
    expect(imports.length).toBeGreaterThan(program.length);
  });

  it('catches what it is there to catch', () => {
    expect(reasonOf('base/a.ts', 'model/b.ts')).toBe('base may import nothing only');
    expect(reasonOf('connectors/postgres/a.ts', 'connectors/mysql/b.ts')).toMatch('must not know');
    expect(reasonOf('connectors/postgres/a.ts', 'connectors/postgres/b.ts')).toBeNull();
    expect(reasonOf('service/a.ts', 'cli/b.ts')).toMatch('service may import');
    expect(reasonOf('cli/a.ts', 'sinks/b.ts')).toMatch('cli may import');
    expect(reasonOf('model/a.ts', 'tests/b.ts')).toMatch('model may import');
    expect(reasonOf('tests/a.ts', 'cli/b.ts')).toBeNull();
    const text = `import type {\n  A,\n} from '../b/c.ts';\nexport * from './d.ts';\nconst e = await import('./e.ts');\nimport './f.ts';\n// import './g.ts'\n`;
    expect(importsOf({ path: 'a/x.ts', text }).map(({ to }) => to)).toEqual(['b/c.ts', 'a/d.ts', 'a/e.ts', 'a/f.ts']);
  });

  it('has a file in each of its rooms, and no ring between files', () => {
    const ring = [
      ['a', 'b'],
      ['b', 'c'],
      ['c', 'a'],
      ['c', 'd'],
    ].map(([from = '', to = '']) => ({ from, to, line: 1, isType: false }));
    expect(cycles(ring)).toEqual(['a → b → c → a']);
    expect(cycles(imports)).toEqual([]);
    for (const room of Object.keys(importTable)) {
      expect(
        program.some(({ path }) => roomOf(path)?.name === room),
        `${room} has no file`,
      ).toBe(true);
    }
  });
});

describe('a source file', () => {
  it('has at most 400 lines (the linter counts the lines of functions)', () => {
    const long = sources.filter(({ text }) => text.split('\n').length - 1 > 400);
    expect(long.map(({ path, text }) => `${path}: ${text.split('\n').length - 1} lines`)).toEqual([]);
    const rules = files.find(({ path }) => path === '.oxlintrc.json');
    expect(JSON.parse(rules?.text ?? '{}')).toMatchObject({
      rules: { 'max-lines-per-function': ['error', { max: 70 }] },
    });
    expect(places(sources, /oxlint-disable[-\w ]*max-lines/g)).toEqual([]);
  });

  it('has a name in kebab-case, in a folder that says what is in it', () => {
    const wellNamed = /^(?:\.?[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.config)?\.ts$/;
    const vague = /(^|\/)(src|utils?|commons?|helpers?|lib|misc|shared)(\/|\.ts$)|(^|\/)index\.ts$/;
    expect(sources.map(({ path }) => path).filter((path) => !wellNamed.test(path) || vague.test(path))).toEqual([]);
  });

  it('exports by name, and nothing of another file', () => {
    const own = sources.filter(({ path }) => !path.endsWith('.config.ts'));
    expect(places(own, /^export default\b.*/gm)).toEqual([]);
    expect(places(own, /^export\s+(?:type\s+)?(?:\*|\{[^}]*\})\s*(?:as \w+ )?from\b.*/gm)).toEqual([]);
  });

  it('throws errors that have a code, outside base and tests', () => {
    const others = program.filter(({ path }) => topFolder(path) !== 'base');
    expect(places(others, /^(?!\s*(?:\*|\/\/)).*\bthrow new (?:Type|Range|Syntax)?Error\(.*/gm)).toEqual([]);
  });

  it('leaves out no test and singles out none', () => {
    const tests = sources.filter(({ path }) => topFolder(path) === 'tests' && path !== 'tests/servers/suite.ts');
    expect(places(tests, /^(?!.*\/\^).*\b(?:it|test|describe)\.(?:skip|only|todo|fails)\b.*/gm)).toEqual([]);
  });
});

describe('the repository', () => {
  it('names no folder of the machine that it was written on', () => {
    // In pieces, so that this file does not name them either.
    const folders = ['work', 'root', 'Users', 'home'].map((folder) => `/${folder}/`);
    const machine = new RegExp(`(?<![\\w.])(?:${folders.join('|')})[\\w.-]+`, 'g');
    expect(places([{ path: 'a', text: `see ${folders.join('x ')}` }], machine)).toHaveLength(3);
    expect(places(files, machine)).toEqual([]);
  });

  it('locks its packages without the address of a registry', () => {
    const lock = files.filter(({ path }) => path === 'package-lock.json');
    expect(lock).toHaveLength(1);
    expect(places(lock, /"resolved": "https?:.*|https?:\/\/[^"]*registry.*/g)).toEqual([]);
  });

  it('pins its packages to exact versions', () => {
    const manifest = JSON.parse(files.find(({ path }) => path === 'package.json')?.text ?? '{}') as Record<
      string,
      Record<string, string> | undefined
    >;
    const all = Object.entries({ ...manifest['dependencies'], ...manifest['devDependencies'] });
    expect(all.length).toBeGreaterThan(5);
    expect(all.filter(([, version]) => !/^(\d+\.\d+\.\d+|file:.*)$/.test(version))).toEqual([]);
  });
});

describe('docs/errors.md', () => {
  const page = readFileSync(errorPage, 'utf8');

  it('has every error code as base/errors.ts says it (`node tests/tidy/error-page.ts` writes it)', () => {
    expect(page).toBe(withCodes(page));
  });

  it('says for every code what to do', () => {
    const remedies = remediesIn(page);
    expect(Object.keys(errorCodes).filter((code) => (remedies.get(code) ?? '').length < 40)).toEqual([]);
  });
});
