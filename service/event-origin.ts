import type { Config } from '../config/config.ts';
import type { EventOrigin } from '../model/envelope.ts';
import { viewsStream } from '../views/port.ts';
import { programVersion } from './version.ts';

/** What the events of views' topics say of where they come from. */
export function viewsOrigin(): EventOrigin {
  return { version: programVersion(), connector: viewsStream, name: viewsStream, database: '' };
}

/** What the events of a stream's topics say of where they come from. A source that has left the file keeps its name alone. */
export function eventOrigin(name: string, config: Config): EventOrigin {
  if (name === viewsStream) return viewsOrigin();
  const source = config.sources.find((candidate) => candidate.name === name);
  return {
    version: programVersion(),
    connector: source?.type ?? 'postgres',
    name,
    database: source?.type === 'postgres' ? databaseOf(source.url) : '',
  };
}

/** The database that a URL names: its path, or the user when it has none, as libpq has it. */
function databaseOf(text: string): string {
  if (!URL.canParse(text)) return '';
  const url = new URL(text);
  try {
    return decodeURIComponent(url.pathname.slice(1) || url.username);
  } catch {
    return url.pathname.slice(1);
  }
}
