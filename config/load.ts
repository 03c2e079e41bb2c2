import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { TidemarkError, systemCodeOf } from '../base/errors.ts';
import { crossChecks } from './cross-checks.ts';
import { invalid } from './findings.ts';
import { findingsOfIssues } from './issues.ts';
import { build } from './build.ts';
import { fileSchema } from './schema.ts';
import { readYaml } from './yaml-tree.ts';
import type { YamlTree } from './yaml-tree.ts';
import type { Config, Environment } from './config.ts';

/** Four bytes for each character that yaml-tree.ts takes. */
const bytesMax = 4 * 1024 * 1024;

/** Reads and checks a file. CONFIG_INVALID with every mistake in it, each at its line and column (`findingsOf` gives them one by one). */
export async function loadConfig(path: string, environment: Environment): Promise<Config> {
  let bytes: Buffer;
  try {
    bytes = await readStart(path);
  } catch (error) {
    const code = systemCodeOf(error);
    const missing = code === 'ENOENT';
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${path === '' ? 'an empty name' : path}: ${missing ? 'there is no such file' : `cannot be read (${code ?? 'unknown error'})`}`,
      {
        hint: missing
          ? 'Write one with `tidemark init`, or name another with -c.'
          : 'Check that it is a file and that this user may read it.',
        place: { file: path },
      },
    );
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid(path, [{ line: 1, column: 1, message: 'the file is not UTF-8 text; save it with that encoding' }]);
  }
  return parseConfig(text, path, environment);
}

/** The file's content up to a little more than a configuration can be: a device may have no end. */
async function readStart(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const parts: Buffer[] = [];
    for (let length = 0; length <= bytesMax;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024));
      if (bytesRead === 0) break;
      parts.push(buffer.subarray(0, bytesRead));
      length += bytesRead;
    }
    return Buffer.concat(parts);
  } finally {
    await file.close();
  }
}

/** As `loadConfig`, for a text that stands for the content of `file`. Relative paths in it are relative to `file`'s folder. */
export function parseConfig(text: string, file: string, environment: Environment): Config {
  const tree = readYaml(text, environment);
  if (!tree.usable) throw invalid(file, tree.findings);
  const parsed = checkShape(tree);
  const findings = [
    ...tree.findings,
    ...(parsed.success ? [] : findingsOfIssues(parsed.error.issues, tree)),
    ...crossChecks(tree, resolve(file)),
  ];
  if (findings.length > 0 || !parsed.success) throw invalid(file, findings);
  return build(parsed.data, resolve(file), tree);
}

/** What comes from the environment is text. Where the schema wants a number, a text of digits is one. */
function checkShape(tree: YamlTree): ReturnType<typeof fileSchema.safeParse> {
  const first = fileSchema.safeParse(tree.value);
  if (first.success) return first;
  let changed = false;
  for (const issue of first.error.issues) {
    if (issue.code === 'invalid_type' && issue.expected === 'number') changed = tree.makeNumber(issue.path) || changed;
  }
  return changed ? fileSchema.safeParse(tree.value) : first;
}
