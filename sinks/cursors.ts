import type { Log } from '../model/log.ts';

const prefix = 'sink:';

/** The name under which a sink tells the log how far it has come. */
export function cursorName(sink: string): string {
  return `${prefix}${sink}`;
}

/**
 * Lets the log forget sinks that are not configured any more, or that follow another stream by now: it would keep deletes for them for
 * ever. One that comes back is given what it needs all the same, if need be everything.
 */
export function forgetOthers(log: Log, sinks: readonly { readonly name: string; readonly stream: string }[]): void {
  for (const stream of log.streams()) {
    const wanted = new Set(sinks.filter((sink) => sink.stream === stream).map(({ name }) => cursorName(name)));
    for (const name of log.cursorNames(stream)) {
      if (name.startsWith(prefix) && !wanted.has(name)) log.registerCursor(stream, name, null);
    }
  }
}
