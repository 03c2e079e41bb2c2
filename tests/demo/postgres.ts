/**
 * `npm run postgres -- --port N`: a PostgreSQL with the shop of docs/examples/shop.sql, for the tour in README.md. It lives in a
 * temporary folder and goes, with all its data, at Ctrl-C.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { makeShop, startNewestPostgres } from './shop.ts';

const { values } = parseArgs({ options: { port: { type: 'string' } } });
const port = values.port === undefined ? undefined : Number(values.port);
const stopped = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
const server = await startNewestPostgres(port);
try {
  await makeShop(server);
  const url = new URL(server.url('shop'));
  url.password = '';
  console.log(`PostgreSQL ${server.version} has a shop with 50,000 customers, 80,000 orders and their 160,000 lines. Ctrl-C stops and removes it.

  export SHOP_DATABASE_URL=${url.href}
`);
  // A server does not keep this process alive.
  const alive = setInterval(() => undefined, 60_000);
  await stopped;
  clearInterval(alive);
} finally {
  await server.stop();
}
