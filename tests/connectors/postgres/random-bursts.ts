import { present } from '../../../base/assert.ts';

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const shapes = [
  '(id int PRIMARY KEY, n int, v text)',
  '(v text, id int PRIMARY KEY, n int)',
  '(id bigint PRIMARY KEY, v text, extra int DEFAULT 3, n int)',
];
const idsMax = 25;

/** Writes random statements over a few tables that come, go, and change names; it knows which names are taken. */
export class BurstWriter {
  readonly #random: () => number;
  readonly #names: readonly string[];
  #taken = new Set<string>();
  #marks = 0;

  /** Names that begin with `<prefix>_live` are those to capture. */
  constructor(random: () => number, prefix: string) {
    this.#random = random;
    this.#names = [`${prefix}_live`, `${prefix}_live_too`, `${prefix}_away`, `${prefix}_gone`];
  }

  setUp(): string {
    const [first] = this.#names;
    return this.#create(present(first, 'a name'));
  }

  /** The captured tables that there are. */
  captured(): string[] {
    return [...this.#taken].filter((name) => name.includes('_live'));
  }

  /** A few statements or transactions, to be run one after the other. */
  burst(): string[] {
    const burst: string[] = [];
    for (let left = 1 + this.#below(6); left > 0; left--) {
      if (this.#random() < 0.6) {
        burst.push(this.#statement());
        continue;
      }
      const before = new Set(this.#taken);
      const statements = Array.from({ length: 1 + this.#below(5) }, () => this.#statement());
      const keep = this.#random() < 0.85;
      if (!keep) this.#taken = before;
      burst.push(`BEGIN; ${statements.join('; ')}; ${keep ? 'COMMIT' : 'ROLLBACK'}`);
    }
    return burst;
  }

  #statement(): string {
    const name = this.#one([...this.#taken]);
    const free = this.#one(this.#names.filter((other) => !this.#taken.has(other)));
    const kind = this.#random();
    if (name === undefined || (kind < 0.15 && free !== undefined)) return this.#create(free ?? '');
    if (kind < 0.35 && free !== undefined) {
      this.#taken.delete(name);
      this.#taken.add(free);
      return `ALTER TABLE ${name} RENAME TO ${free}`;
    }
    if (kind < 0.45) {
      this.#taken.delete(name);
      return `DROP TABLE ${name}`;
    }
    if (kind < 0.5) return `TRUNCATE ${name}`;
    return this.#change(name);
  }

  #create(name: string): string {
    this.#taken.add(name);
    const shape = present(this.#one(shapes), 'a shape');
    const rows = this.#below(idsMax);
    return `CREATE TABLE ${name} ${shape}; INSERT INTO ${name} (id, n, v) SELECT i, ${++this.#marks}, ${this.#value()} FROM generate_series(1, ${rows}) i`;
  }

  #change(name: string): string {
    const id = 1 + this.#below(idsMax);
    const kind = this.#random();
    const mark = ++this.#marks;
    if (kind < 0.4)
      return `INSERT INTO ${name} (id, n, v) VALUES (${id}, ${mark}, ${this.#value()}) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n, v = EXCLUDED.v`;
    if (kind < 0.7) return `UPDATE ${name} SET n = ${mark} WHERE id % 3 = ${id % 3}`;
    if (kind < 0.85) return `UPDATE ${name} SET id = id + ${1000 * mark} WHERE id = ${id}`;
    return `DELETE FROM ${name} WHERE id % 5 = ${id % 5}`;
  }

  /** Sometimes large enough to be stored out of line, and hard to compress. */
  #value(): string {
    return this.#random() < 0.7
      ? `'v${++this.#marks}'`
      : `(SELECT string_agg(md5(${++this.#marks} || 'x' || j), '') FROM generate_series(1, 90) j)`;
  }

  #one<T>(choices: readonly T[]): T | undefined {
    return choices[this.#below(choices.length)];
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}
