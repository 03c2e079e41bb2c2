import { bindScript } from '../views/sql/bind.ts';
import { catalogOf } from '../views/sql/catalog.ts';
import type { BoundView } from '../views/plan/plan.ts';
import { sqlScalar } from '../views/type.ts';
import { randomFrom } from '../tests/simulation/random.ts';

/**
 * The toy bank: transfers of 1 between ten accounts, and four views that end in one number, the sum of all balances. It is 0 after every
 * transfer (`outer`); in the example as it is usually written (`inner`), an account that has only credits or only debits so far is absent.
 */
export type Variant = 'outer' | 'inner';

const perAccount = `
  CREATE VIEW credits AS SELECT to_account AS account, sum(amount) AS credits FROM transactions GROUP BY to_account;
  CREATE VIEW debits AS SELECT from_account AS account, sum(amount) AS debits FROM transactions GROUP BY from_account;`;
const total = 'CREATE VIEW total AS SELECT sum(balance) AS total FROM balance;';

export const toybankSql: Readonly<Record<Variant, string>> = {
  outer: `${perAccount}
    CREATE VIEW balance AS
      SELECT coalesce(c.account, d.account) AS account, coalesce(c.credits, 0) - coalesce(d.debits, 0) AS balance
      FROM credits c FULL OUTER JOIN debits d ON c.account = d.account;
    ${total}`,
  inner: `${perAccount}
    CREATE VIEW balance AS
      SELECT c.account, credits - debits AS balance FROM credits c JOIN debits d ON c.account = d.account;
    ${total}`,
};

/** The same with other names, and a filter that nothing fails: nothing may depend on what things are called. */
export const renamedSql = `
  CREATE VIEW received AS SELECT payee AS holder, sum(cents) AS plus FROM payments WHERE cents > 0 GROUP BY payee;
  CREATE VIEW spent AS SELECT payer AS holder, sum(cents) AS minus FROM payments WHERE cents > 0 GROUP BY payer;
  CREATE VIEW accounts AS
    SELECT coalesce(p.holder, m.holder) AS holder, coalesce(p.plus, 0) - coalesce(m.minus, 0) AS cents
    FROM received p FULL OUTER JOIN spent m ON p.holder = m.holder;
  CREATE VIEW everything AS SELECT sum(cents) AS everything FROM accounts;`;

const types = ['int4', 'int4', 'int4', 'int4', 'timestamp'] as const;

/** The views bound, `loadSqlParser` having been called. */
export function bindToybank(sql: string, relation: string, names: readonly string[]): readonly BoundView[] {
  const columns = names.map((name, index) => {
    return { name, type: sqlScalar(types[index] ?? 'text'), nullable: name !== 'id' };
  });
  return bindScript({ name: 'toybank', sql, key: [], catalog: catalogOf([{ relation, columns, key: [0] }]) });
}

export const transactionNames = ['id', 'from_account', 'to_account', 'amount', 'ts'];
export const paymentNames = ['id', 'payer', 'payee', 'cents', 'made_at'];

export interface Transfer {
  readonly id: number;
  readonly from: number;
  readonly to: number;
}

/** `n` transfers from a seed, by id; a tenth of them comes up to 1,000 places late when `isLate`. */
export function transfers(seed: number, n: number, isLate: boolean): readonly Transfer[] {
  const random = randomFrom(seed);
  const made = Array.from({ length: n }, (_, id) => {
    const transfer = { id, from: Math.floor(random() * 10), to: Math.floor(random() * 10) };
    const place = isLate && random() < 0.1 ? id + random() * 1000 : id;
    return { transfer, place };
  });
  return made.toSorted((a, b) => a.place - b.place).map(({ transfer }) => transfer);
}
