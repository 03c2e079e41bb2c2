import type { Log, LogReader, LogWriter, ReadOptions } from '../../../model/log.ts';

/**
 * A log that stops working for the stage at some call, before or after that has had its effect, and for good: to the stage's state
 * that is what a kill is.
 */
export class Kill {
  /** Calls that still work. */
  left: number;
  readonly #random: () => number;
  isKilled = false;

  constructor(left: number, random: () => number) {
    this.left = left;
    this.#random = random;
  }

  log(log: Log): Log {
    return new Proxy(log, {
      get: (target, name) => {
        if (name === 'writer') return async (stream: string) => this.#writer(await target.writer(stream));
        if (name === 'read')
          return (stream: string, options: ReadOptions) => this.#reader(target.read(stream, options));
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  #writer(writer: LogWriter): LogWriter {
    return {
      get last() {
        return writer.last;
      },
      schemaId: (table) => writer.schemaId(table),
      append: (changes) => this.#call(() => writer.append(changes)),
      commit: (info) => this.#call(() => writer.commit(info)),
      mark: (info) => this.#call(() => writer.mark(info)),
      abort: () => writer.abort(),
      drained: async () => this.#call(async () => writer.drained()),
      durable: async () => this.#call(async () => writer.durable()),
      close: async () => writer.close(),
    };
  }

  #reader(reader: LogReader): LogReader {
    return {
      next: async (bytesMax) => this.#call(async () => reader.next(bytesMax)),
      close: async () => reader.close(),
    };
  }

  #call<T>(work: () => T): T {
    if (this.isKilled) throw new Error('killed before');
    if (--this.left > 0) return work();
    this.isKilled = true;
    if (this.#random() < 0.5) void work();
    throw new Error('killed');
  }
}
