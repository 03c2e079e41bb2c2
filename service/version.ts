import { createRequire } from 'node:module';

/** The program's version, from its package.json: one folder up in a checkout, two in an installed package. */
export function programVersion(): string {
  const require = createRequire(import.meta.url);
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const content: unknown = require(path);
      if (typeof content !== 'object' || content === null) continue;
      if (Reflect.get(content, 'name') === 'tidemark') return String(Reflect.get(content, 'version'));
    } catch {
      // Not here: the next place.
    }
  }
  return '0.0.0';
}
