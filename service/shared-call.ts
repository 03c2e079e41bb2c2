/**
 * Work that serves everybody who asked before it began: one call is under way at a time, and one more is due for all who asked
 * meanwhile. What a call answers is never older than the question.
 */
export class SharedCall<T> {
  readonly #work: () => Promise<T>;
  #running: Promise<T> | null = null;
  #next: Promise<T> | null = null;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  async ask(): Promise<T> {
    if (this.#running === null) return this.#begin();
    this.#next ??= this.#afterwards(this.#running);
    return this.#next;
  }

  async #afterwards(running: Promise<T>): Promise<T> {
    await running.catch(() => undefined);
    this.#next = null;
    return this.#begin();
  }

  async #begin(): Promise<T> {
    const running = this.#work();
    this.#running = running;
    try {
      return await running;
    } finally {
      // The next call has taken its place already when somebody waited for it.
      if (this.#running === running) this.#running = null;
    }
  }
}
