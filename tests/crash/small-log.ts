/**
 * Loaded into the program before it (node --import): the embedded log's limits become so small that it changes segments and compacts
 * all the time, and processes are killed in the middle of both. Nothing else of the program is altered.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const limits: readonly (readonly [normal: string, small: string])[] = [
  ['?? 32 * mebibyte', '?? 2 * mebibyte'],
  ['?? 256 * mebibyte', '?? 8 * mebibyte'],
  ['?? 1024 * mebibyte', '?? 256 * mebibyte'],
];

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith('/log/embedded/embedded-log.ts')) return loaded;
    let source = readFileSync(fileURLToPath(url), 'utf8');
    for (const [normal, small] of limits) {
      if (!source.includes(normal))
        throw new Error(`embedded-log.ts has no '${normal}' any more: small-log.ts is to follow`);
      source = source.replace(normal, small);
    }
    return { ...loaded, source };
  },
});
