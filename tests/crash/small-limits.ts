/**
 * Loaded into the program before it (node --import): some limits become so small that the log changes segments and compacts all the
 * time, that view state is read back from disk, and that transactions come to views in many pieces; processes are killed in the middle
 * of all that. How often view state is committed, and how much is stepped at once, varies from process to process. Nothing else of the
 * program is altered.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { dirtyVariable, persistVariable, stepVariable } from './limits.ts';

interface Limit {
  readonly normal: RegExp;
  readonly small: string;
}

const limits: ReadonlyMap<string, readonly Limit[]> = new Map([
  [
    '/log/embedded/embedded-log.ts',
    [
      { normal: /\?\? 32 \* mebibyte/, small: '?? 2 * mebibyte' },
      { normal: /\?\? 256 \* mebibyte/, small: '?? 8 * mebibyte' },
      { normal: /\?\? 1024 \* mebibyte/, small: '?? 256 * mebibyte' },
    ],
  ],
  ['/views/stage/session.ts', [constant('persistMs', process.env[persistVariable] ?? '1000')]],
  ['/views/stage/source-feed.ts', [constant('batchBytes', process.env[stepVariable] ?? '65536')]],
  [
    '/views/state/disk.ts',
    [constant('cacheBytesDefault', '1048576'), constant('dirtyMaxDefault', process.env[dirtyVariable] ?? '3000')],
  ],
]);

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const [path, list] = [...limits].find(([end]) => url.endsWith(end)) ?? [];
    if (list === undefined) return loaded;
    let source = readFileSync(fileURLToPath(url), 'utf8');
    for (const { normal, small } of list) {
      if (!normal.test(source)) throw new Error(`${path} has no ${normal} any more: small-limits.ts is to follow`);
      source = source.replace(normal, small);
    }
    return { ...loaded, source };
  },
});

function constant(name: string, value: string): Limit {
  return { normal: new RegExp(`^const ${name} = [^;]+;`, 'm'), small: `const ${name} = ${value};` };
}
