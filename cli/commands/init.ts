import { basename } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { TidemarkError, messageOf } from '../../base/errors.ts';
import { secretsOf } from '../../telemetry/secrets.ts';
import type { FoundTable } from '../../service/discover.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { sourceNameOf, starterFile, variableOf } from '../starter-file.ts';
import { usageError } from '../usage.ts';

interface InitOptions extends CommonOptions {
  readonly postgres?: string;
  readonly force?: boolean;
}

const exampleUrl = 'postgres://app:PASSWORD@127.0.0.1:5432/shop';

export async function initCommand(options: InitOptions, context: CommandContext): Promise<void> {
  const { postgres } = options;
  context.secrets.learn(secretsOf({ postgres }));
  const url = postgres === undefined ? new URL(exampleUrl) : parseUrl(postgres);
  let tables: FoundTable[] = [];
  if (postgres !== undefined) {
    const { discoverTables } = await import('../../service/discover.ts');
    tables = await discoverTables(postgres);
  }
  const name = sourceNameOf(decodeURIComponent(url.pathname.slice(1) || url.username) || 'shop');
  await write(options, starterFile({ name, shownUrl: shown(url), tables }));
  const keyless = tables.filter((table) => !table.hasKey).length;
  const found = postgres === undefined ? '' : `, with ${tables.length - keyless} tables`;
  context.stdout.write(`${basename(options.config)} is written${found}. Next:
  export ${variableOf(name)}='${shown(url)}'
  tidemark check${options.config === 'tidemark.yaml' ? '' : ` -c ${options.config}`}
  tidemark run${options.config === 'tidemark.yaml' ? '' : ` -c ${options.config}`}
`);
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && /^postgres(ql)?:$/.test(url.protocol) && isDecodable(url)) return url;
  throw usageError('--postgres takes a URL of a database', 'Write it as postgres://user:password@host:5432/database.');
}

/** Whether every % in the URL begins a character. */
function isDecodable({ pathname, username, password }: URL): boolean {
  try {
    decodeURIComponent(pathname + username + password);
    return true;
  } catch {
    return false;
  }
}

/** The URL as it may be written down. */
function shown(url: URL): string {
  const copy = new URL(url);
  copy.password = copy.username === '' ? '' : 'PASSWORD';
  for (const name of copy.searchParams.keys()) {
    if (/pass|secret|token/i.test(name)) copy.searchParams.set(name, 'PASSWORD');
  }
  return copy.href;
}

async function write(options: InitOptions, content: string): Promise<void> {
  const file = options.config;
  try {
    await writeFile(file, content, { flag: options.force === true ? 'w' : 'wx', mode: 0o644 });
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    if (exists) throw usageError(`${file} is there already`, 'Give --force to replace it, or another name with -c.');
    throw new TidemarkError('USAGE', `${file} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}
