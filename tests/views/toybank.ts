/**
 * `npm run toybank -- [--rows 1000000] [--seed N] [--batch N]`: the toy bank over random transfers, in order and late (docs/testing.md).
 * Exit code 1 when a total is wrong after any transaction.
 */
import { parseArgs } from 'node:util';
import { loadSqlParser } from '../../views/sql/bind.ts';
import { runToybank } from './engine/toybank.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    /** Transfers in a transaction. */
    batch: { type: 'string', default: '1' },
  },
});

const [rows, seed, batch] = [Number(values.rows), Number(values.seed), Number(values.batch)];
console.log(`seed ${seed}`);
await loadSqlParser();
for (const isLate of [false, true]) {
  const { wrong, outputs, totals } = runToybank({ rows, seed, isLate, batch });
  const order = isLate ? 'late transfers' : 'in order';
  const said = `${outputs.outer} output of the outer variant, ${outputs.inner} changes of the inner one (${totals} totals)`;
  console.log(
    `${order}: ${Math.ceil(rows / batch)} transactions, ${said}, ${wrong.length === 0 ? 'all right' : 'WRONG'}`,
  );
  for (const line of wrong) console.log(`  ${line}`);
  if (wrong.length > 0 || outputs.outer !== 1) process.exitCode = 1;
}
