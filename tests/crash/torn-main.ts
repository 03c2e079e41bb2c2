/**
 * The program with atomic commits switched off: the SQLite sink commits after every table that it writes. What the crash run's reader
 * must catch, or it would prove nothing.
 */
import { SqliteTarget } from '../../sinks/sqlite/sqlite-target.ts';

// oxlint-disable-next-line typescript/unbound-method -- called with the target as `this` below
const whole = SqliteTarget.prototype.apply;
SqliteTarget.prototype.apply = async function torn(this: SqliteTarget, sink, changes, from, to) {
  const rejected = await whole.call(this, sink, changes, from, to);
  await this.commit([], { epoch: 0, seq: 0, position: null, timeMs: 0 });
  await this.begin();
  return rejected;
};

const { main } = await import('../../cli/program.ts');
await main(process.argv.slice(2));
