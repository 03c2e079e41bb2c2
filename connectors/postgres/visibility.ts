import type { Visibility } from '../../snapshot/port.ts';

/**
 * A `pg_snapshot` (https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT): `xmin:xmax:xip,xip,…`
 * in 64-bit transaction ids. The stream names transactions by the low 32 bits; they are compared with wraparound, relative to
 * `xmax`, which is right as long as no transaction is older than two billion others – PostgreSQL sees to that itself.
 */
export class PgSnapshot implements Visibility {
  readonly text: string;
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly #running: ReadonlySet<bigint>;

  constructor(text: string) {
    this.text = text;
    const [xmin = '0', xmax = '0', running = ''] = text.split(':');
    this.xmin = BigInt(xmin);
    this.xmax = BigInt(xmax);
    this.#running = new Set(running === '' ? [] : running.split(',').map(BigInt));
  }

  /** Whether the transaction (by its 32-bit id, in decimal) had ended, and so is seen if it committed. */
  includes(txId: string): boolean {
    return this.includesXid(widen(Number(txId), this.xmax));
  }

  includesXid(xid: bigint): boolean {
    return xid < this.xmin || (xid < this.xmax && !this.#running.has(xid));
  }

  /** Transactions that were running when the snapshot was taken, as 32-bit ids in decimal. */
  running(): string[] {
    return [...this.#running].map((xid) => (xid & 0xffff_ffffn).toString());
  }
}

/** The 64-bit id nearest to `near` whose low half is `xid`. */
export function widen(xid: number, near: bigint): bigint {
  const difference = (xid - Number(near & 0xffff_ffffn)) | 0;
  return near + BigInt(difference);
}
