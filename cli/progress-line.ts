import type { CommandContext } from './context.ts';

const clearLine = '\r\u001B[2K';
/** Often enough to look alive. */
const drawEveryMs = 200;
const barCells = 24;

/** One line on a terminal that says how far work has come, drawn again in its place; nothing elsewhere. */
export class ProgressLine {
  readonly #context: CommandContext;
  #isShown = false;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  show(text: string): void {
    const { stderr, clock } = this.#context;
    const now = clock.monotonic();
    if (stderr.isTTY !== true || now - this.#drawnAt < drawEveryMs) return;
    this.#drawnAt = now;
    this.#isShown = true;
    // A line that wraps cannot be drawn again; a terminal that does not know its width says 0.
    stderr.write(clearLine + text.slice(0, (stderr.columns || 80) - 1));
  }

  /** Takes the line away. */
  end(): void {
    if (this.#isShown) this.#context.stderr.write(clearLine);
    this.#isShown = false;
  }
}

/** `[████░░░░]` for a share from 0 to 1. */
export function bar(share: number): string {
  const filled = Math.round(share * barCells);
  return `[${'█'.repeat(filled)}${'░'.repeat(barCells - filled)}]`;
}
