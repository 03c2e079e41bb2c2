import { TidemarkError } from '../base/errors.ts';

/** One mistake in the file: what is wrong and, after a semicolon, what to write instead. Holds no value that could be a secret. */
export interface Finding {
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  readonly message: string;
}

/** What a CONFIG_INVALID of this folder has as its cause. */
class Findings {
  readonly list: readonly Finding[];
  constructor(list: readonly Finding[]) {
    this.list = list;
  }
}

/** The error that lists all findings, in the file's order, one per line as `file:line:column: message`. */
export function invalid(file: string, findings: readonly Finding[]): TidemarkError {
  const list = inOrder(findings);
  const lines = list.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`);
  const first = list[0];
  return new TidemarkError('CONFIG_INVALID', lines.join('\n'), {
    place: { file: first ? `${file}:${first.line}:${first.column}` : file },
    cause: new Findings(list),
  });
}

/** The mistakes that a CONFIG_INVALID names, for output as data. Empty for other errors. */
export function findingsOf(error: unknown): readonly Finding[] {
  return error instanceof TidemarkError && error.cause instanceof Findings ? error.cause.list : [];
}

function inOrder(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings
    .toSorted((a, b) => a.line - b.line || a.column - b.column)
    .filter((finding) => {
      const identity = JSON.stringify(finding);
      if (seen.has(identity)) return false;
      seen.add(identity);
      return true;
    });
}
