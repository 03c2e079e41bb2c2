/**
 * What all test servers have in common. A kind knows where its binaries may be, starts servers on free ports in temporary
 * folders, and every server is stopped when its owner stops it, or when the process that started it ends in any way.
 * Nothing here knows about a test runner: the demo and the benchmarks start their servers through the same functions.
 */
export interface ServerKind<Options, Server extends RunningServer> {
  readonly name: string;
  /** Where the server's binaries are, or why there are none. Looks at files only; starts nothing. */
  find(options?: Options): Found;
  start(options?: Options): Promise<Server>;
}

export type Found =
  | { readonly found: true; readonly directory: string; readonly version: string }
  | { readonly found: false; readonly reason: string };

export interface RunningServer {
  /** The process's id; 0 while it is stopped. */
  readonly pid: number;
  readonly port: number;
  /** Holds everything of this server; removed by `stop`. */
  readonly directory: string;
  stop(): Promise<void>;
}

/** Whether a server that cannot be had is a failure (as in CI) rather than a reason to skip. */
export function serversAreRequired(): boolean {
  return process.env['TIDEMARK_REQUIRE_SERVERS'] === 'all';
}
