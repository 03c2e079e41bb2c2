/** An error as status shows it. */
export interface StatusError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** A position of a source, or `{source: position}` for what is made of several. */
export type Position = string | Readonly<Record<string, string>>;

/** What `GET /api/v1/status` answers, as far as it is promised (docs/http.md). */
export interface Status {
  readonly name: string;
  readonly ready: boolean;
  /** Why it is not ready, one sentence each. */
  readonly reasons: readonly string[];
  readonly sources: readonly {
    readonly name: string;
    readonly type: string;
    readonly position: string | null;
    readonly lag_bytes: number | null;
    readonly lag_seconds: number | null;
    readonly consistent: boolean;
    readonly error: StatusError | null;
  }[];
  readonly views: readonly {
    readonly name: string;
    readonly step: number;
    readonly rows: number;
    readonly lag_seconds: number | null;
    readonly consistent: boolean;
    readonly error: StatusError | null;
  }[];
  readonly sinks: readonly {
    readonly name: string;
    readonly type: string;
    readonly seq: number;
    readonly position: Position | null;
    readonly lag_seconds: number | null;
    readonly consistent: boolean;
    readonly dead_letters: number;
    readonly error: StatusError | null;
  }[];
}
