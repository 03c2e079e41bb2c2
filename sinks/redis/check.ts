import { TidemarkError, isTidemarkError, messageOf } from '../../base/errors.ts';
import type { CheckResult } from '../../model/source.ts';
import type { RedisSinkOptions } from '../options.ts';
import { RedisConnection } from './connection.ts';
import { keyFormOfTemplate } from './key-form.ts';
import { anyKeyOf } from './keys-of-sink.ts';
import { parseRecord } from './record.ts';
import { refuseTemplates } from './refuse-templates.ts';
import { serverFacts, serverProblem } from './server.ts';
import type { ServerFacts } from './server.ts';
import { RedisSession, ownKeys } from './session.ts';

/** How long `check` waits for a server: somebody is waiting for `check`. */
const timeouts = { connectMs: 5_000, commandMs: 5_000 };

/**
 * The preflights of the sinks on one Redis; `deployment` is the name in the file. Leaves the database as it is, and takes it over from
 * nobody.
 */
export async function* checkRedis(
  members: readonly RedisSinkOptions[],
  deployment: string,
): AsyncGenerator<CheckResult> {
  const [first] = members;
  if (first === undefined) return;
  const subject = members.map(({ name }) => name).join(', ');
  let connection: RedisConnection | null = null;
  try {
    refuseTemplates(members);
    connection = await RedisConnection.open(first.url, first.name, timeouts);
    yield { level: 'ok', subject: `${subject}: url`, message: `Redis at ${connection.place.label} answers` };
    const facts = await serverFacts(connection);
    yield* aboutServer(subject, facts);
    if (facts !== null && serverProblem(facts) !== null) return;
    yield* aboutPermissions(subject, members, deployment, connection);
    for (const member of members) yield* aboutKeys(member, deployment, connection);
  } catch (error) {
    yield failed(`${subject}: url`, error);
  } finally {
    connection?.close();
  }
}

function* aboutServer(sinks: string, facts: ServerFacts | null): Generator<CheckResult> {
  if (facts === null) {
    const message = 'the user may not ask for INFO: version, role and eviction policy are not known';
    yield { level: 'warning', subject: `${sinks}: server`, message, fix: 'Grant it: ACL SETUSER <user> +info' };
    return;
  }
  const problem = serverProblem(facts);
  if (problem !== null) {
    yield { level: 'error', subject: `${sinks}: server`, message: `it ${problem.what}`, fix: problem.fix };
    return;
  }
  yield { level: 'ok', subject: `${sinks}: server`, message: `${facts.name}, which takes writes` };
  const { policy, isPersistent } = facts;
  if (policy !== null && policy !== 'noeviction') {
    const message = `maxmemory-policy is ${policy}: rows may vanish when memory runs out`;
    const fix = 'CONFIG SET maxmemory-policy noeviction, there and in its file.';
    yield { level: 'error', subject: `${sinks}: maxmemory-policy`, message, fix };
  } else if (policy !== null) {
    yield { level: 'ok', subject: `${sinks}: maxmemory-policy`, message: policy };
  }
  if (isPersistent === false) {
    const message = 'appendonly is off: after a restart of the server the rows are filled in again from the log';
    yield { level: 'ok', subject: `${sinks}: persistence`, message };
  }
}

async function* aboutPermissions(
  sinks: string,
  members: readonly RedisSinkOptions[],
  deployment: string,
  connection: RedisConnection,
): AsyncGenerator<CheckResult> {
  const subject = `${sinks}: permissions`;
  try {
    const session = new RedisSession(connection, deployment, 'check');
    await session.checkPermissions(members.map(({ key }) => keyFormOfTemplate(key)));
    yield { level: 'ok', subject, message: 'the user may do what the sinks need' };
  } catch (error) {
    yield failed(subject, error);
  }
}

/** Whether keys of the sink are there that this deployment has not written. */
async function* aboutKeys(
  { name, key }: RedisSinkOptions,
  deployment: string,
  connection: RedisConnection,
): AsyncGenerator<CheckResult> {
  const subject = `${name}: key`;
  try {
    const keys = ownKeys(deployment);
    const record = (await connection.call('GET', keys.record(name))) as string | null;
    if (record !== null && parseRecord(record) === null) {
      throw new TidemarkError('SINK_TARGET', `the key ${keys.record(name)} is not of this program's making`, {
        hint: 'Remove it, or give the sink another database.',
      });
    }
    const session = new RedisSession(connection, deployment, 'check');
    const made = await session.makerOf(key);
    const form = keyFormOfTemplate(key);
    const found = record === null && made === null ? await anyKeyOf(connection, [form]) : null;
    if (found === null) {
      yield { level: 'ok', subject, message: `keys like ${form.pattern} are the sink's, or nobody's` };
      return;
    }
    // Whether a row could have it depends on the types of the key's columns, which only the log knows.
    yield {
      level: 'warning',
      subject,
      message: `${found} is there and not of the sink's making: it does not start where rows could have such keys`,
      fix: `Give the sink another \`key\` or database. If nobody needs them any more, remove the keys that redis-cli --scan --pattern '${form.pattern}' lists on ${connection.place.label}.`,
    };
  } catch (error) {
    yield failed(subject, error);
  }
}

function failed(subject: string, error: unknown): CheckResult {
  const fix = isTidemarkError(error) ? error.hint : undefined;
  return { level: 'error', subject, message: messageOf(error), ...(fix === undefined ? {} : { fix }) };
}
