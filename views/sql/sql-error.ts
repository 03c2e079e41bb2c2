/** What is wrong with a view's SQL, at a place in its text. `bindView` turns it into a TidemarkError with line and column. */
export class SqlError extends Error {
  override readonly name = 'SqlError';
  /** Byte offset in the SQL text's UTF-8, as libpg-query gives it; null where no place can be told. */
  readonly location: number | null;
  /** What to write instead. */
  readonly hint: string | undefined;

  constructor(message: string, location: number | null, hint?: string) {
    super(message);
    this.location = location;
    this.hint = hint;
  }
}
