import type { Client } from 'pg';
import { Difference } from './difference.ts';
import type { LoggedCommit, Replay } from './replay.ts';

/**
 * The order of commits as the server tells it to somebody else: a second slot, whose publication has only `journal`, into which every
 * transaction of the load writes. pgoutput's Begin is `B`, i64 position, i64 time, u32 xid.
 */
export class Oracle {
  readonly #client: Client;
  readonly #xids: string[] = [];
  /** Next place of `Replay.commits`, and the place in `#xids` that it must be at; -1 before the first. */
  #checked = 0;
  #expected = -1;
  #gaps = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  get transactions(): number {
    return this.#xids.length;
  }

  /** Transactions of the log whose place was checked. */
  matched = 0;

  /** Fails unless the source's transactions in the log are the server's, once each and in its order, from the log's first on. */
  async check(replay: Replay, options: { complete: boolean }): Promise<void> {
    await this.#read();
    const commits = replay.commits;
    for (; this.#checked < commits.length; this.#checked++) {
      const gap = replay.compacted[this.#gaps];
      if (gap?.before === this.#checked) {
        this.#gaps++;
        this.#skip(commits, gap.numbers);
      }
      const commit = commits[this.#checked];
      if (commit !== undefined && !commit.snapshot) this.#match(commit);
    }
    if (options.complete && this.#expected !== this.#xids.length && this.#expected >= 0) {
      throw new Difference(
        `the log lacks ${this.#xids.length - this.#expected} transactions at its end, from xid ${this.#xids[this.#expected]} on`,
      );
    }
  }

  async #read(): Promise<void> {
    const { rows } = await this.#client.query<{ xid: string }>(
      `SELECT ('x' || encode(substr(data, 18, 4), 'hex'))::bit(32)::bigint AS xid
       FROM pg_logical_slot_get_binary_changes('oracle', NULL, NULL, 'proto_version', '1', 'publication_names', 'oracle')
       WHERE get_byte(data, 0) = 66`,
    );
    for (const { xid } of rows) this.#xids.push(xid);
  }

  #match({ seq, txId }: LoggedCommit): void {
    // What committed before the log's slot was made is in the snapshot alone; the comparison of contents tells whether it is.
    if (this.#expected < 0) this.#expected = this.#xids.indexOf(txId);
    const expected = this.#xids[this.#expected];
    if (this.#expected < 0 || expected !== txId) {
      const at = this.#xids.indexOf(txId);
      throw new Difference(
        `seq ${seq} of the log is transaction ${txId} (place ${at} in the server's order), where ${expected} (place ${this.#expected}) comes next`,
      );
    }
    this.#expected++;
    this.matched++;
  }

  /** Compaction took transactions before they were read: at most as many as numbers are gone. */
  #skip(commits: readonly LoggedCommit[], numbers: number): void {
    const next = commits.slice(this.#checked).find(({ snapshot }) => !snapshot);
    if (next === undefined || this.#expected < 0) return;
    const at = this.#xids.indexOf(next.txId);
    if (at < this.#expected || at - this.#expected > numbers) {
      throw new Difference(
        `after ${numbers} compacted commits the log goes on at place ${at}, not soon after ${this.#expected}`,
      );
    }
    this.#expected = at;
  }
}
