import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
let directory: string;

/** Builds and packs what would be published, and unpacks it where a program outside would have it installed. */
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-package-'));
  const staging = join(directory, 'staging');
  mkdirSync(staging);
  for (const file of ['package.json', 'README.md', 'LICENSE']) cpSync(join(root, file), join(staging, file));
  // As `npm run build` does, without the rest of the program, which takes longer.
  const build = { extends: join(root, 'tsconfig.build.json'), include: [join(root, 'client')] };
  const compilerOptions = {
    rootDir: root,
    outDir: join(staging, 'dist'),
    typeRoots: [join(root, 'node_modules/@types')],
  };
  writeFileSync(join(staging, 'tsconfig.json'), JSON.stringify({ ...build, compilerOptions }));
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', staging], { stdio: 'inherit' });
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', directory], { cwd: staging, stdio: 'pipe' });
  const archive = readdirSync(directory).find((name) => name.endsWith('.tgz')) ?? '';
  const installed = join(directory, 'node_modules', 'tidemark');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(directory, archive), '-C', installed, '--strip-components=1']);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('a program that installs the package imports its client, which needs nothing else', () => {
  const program = `
    import { ServiceUnreachableError, Tidemark, pgPosition, withPosition } from 'tidemark/client';
    const error = await new Tidemark({ url: 'http://127.0.0.1:9' }).waitFor('search', 'now').catch((thrown) => thrown);
    console.log(error instanceof ServiceUnreachableError, error.code, typeof pgPosition, typeof withPosition);`;
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd: directory });
  expect(String(printed)).toBe('true SERVICE_UNREACHABLE function function\n');
});

test('a program in TypeScript sees its types', () => {
  writeFileSync(
    join(directory, 'program.mts'),
    `import { Tidemark, WaitTimeoutError, withPosition } from 'tidemark/client';
import type { PgPoolClient, Waited } from 'tidemark/client';
declare const pool: { connect(): Promise<PgPoolClient> };
const tidemark = new Tidemark({ url: 'http://127.0.0.1:7070', token: 'x' });
const { result, position } = await withPosition(pool, async (client) => (await client.query('SELECT 1')).rows.length);
const waited: Waited = await tidemark.waitFor('search', position, { timeoutMs: result, searchable: true });
export const isLate = (error: unknown): boolean => error instanceof WaitTimeoutError && waited.sink !== '';
// @ts-expect-error a sink is named by text
await tidemark.waitFor(1, position);
`,
  );
  expect(mistakesIn('program.mts', 'false')).toBe('');
});

test('the example of docs/client.md is right by its types', () => {
  const page = readFileSync(join(root, 'docs', 'client.md'), 'utf8');
  const [, example] = /```ts\n([^]*?)```/.exec(page) ?? [];
  writeFileSync(join(directory, 'example.mts'), example ?? 'no example');
  mkdirSync(join(directory, 'node_modules', '@types'));
  symlinkSync(join(root, 'node_modules/@types/pg'), join(directory, 'node_modules/@types/pg'));
  expect(mistakesIn('example.mts', 'true')).toBe('');
});

test('the package holds no sources, tests or tools, and its build has the client', () => {
  const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.build.json'), 'utf8')) as { include: string[] };
  expect(include).toContain('client');
  const files = readdirSync(join(directory, 'node_modules', 'tidemark'));
  expect(files.toSorted()).toEqual(['LICENSE', 'README.md', 'dist', 'package.json']);
});

/** What the compiler has to say against a program outside. */
function mistakesIn(file: string, skipLibCheck: string): string {
  const options = [
    '--strict',
    '--noEmit',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--skipLibCheck',
    skipLibCheck,
  ];
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
  const tsc = join(root, 'node_modules/.bin/tsc');
  return spawnSync(tsc, [...options, ...types, file], { cwd: directory, encoding: 'utf8' }).stdout;
}
