import { systemClock } from '../../base/clock.ts';
import { isTidemarkError, messageOf } from '../../base/errors.ts';
import type { CheckResult } from '../../model/source.ts';
import type { SearchSinkOptions } from '../options.ts';
import { EngineClient } from './engine-client.ts';
import { identify } from './engine-info.ts';
import { IndexAdmin } from './index-admin.ts';
import { RecordStore } from './sink-record.ts';

/** Somebody is waiting for `check`; making an index may take an engine with many of them some seconds. */
const patienceMs = 30_000;

/**
 * Whether the sink can be delivered to: the server answers and lets us in, the alias is free or ours, and an index with the sink's mapping
 * and settings can be made and dropped. That is tried with an index that is gone again afterwards; what the sink holds is left alone.
 */
export async function* checkSearch(member: SearchSinkOptions, deploymentName: string): AsyncGenerator<CheckResult> {
  const { name } = member;
  const client = new EngineClient(name, member.url, { clock: systemClock, random: Math.random, patienceMs });
  const admin = new IndexAdmin(client, member, deploymentName);
  const steps: readonly [string, () => Promise<CheckResult>][] = [
    ['url', async () => aboutServer(member, client)],
    ['index', async () => aboutAlias(member, admin)],
    ['position', async () => aboutRecord(member, deploymentName, client)],
    ['mapping', async () => aboutMapping(member, admin)],
  ];
  try {
    for (const [what, step] of steps) {
      const result = await step().catch((error: unknown) => failed(`${name}: ${what}`, error));
      yield result;
      // Without an answer there is nothing more to learn.
      if (what === 'url' && result.level === 'error') return;
    }
  } finally {
    await client.close();
  }
}

async function aboutServer({ name, type }: SearchSinkOptions, client: EngineClient): Promise<CheckResult> {
  const subject = `${name}: url`;
  const info = await identify(client);
  if (info === null) {
    const message = 'the server answers, and does not say which version it is';
    return { level: 'ok', subject, message };
  }
  const what = `${info.flavour === 'opensearch' ? 'OpenSearch' : 'Elasticsearch'} ${info.version}`;
  if (info.flavour === type) return { level: 'ok', subject, message: `${what} answers` };
  return { level: 'warning', subject, message: `${what} answers`, fix: `Write type: ${info.flavour}` };
}

async function aboutAlias({ name, index }: SearchSinkOptions, admin: IndexAdmin): Promise<CheckResult> {
  const existing = await admin.list([]);
  admin.checkAlias(existing);
  const holder = [...existing].find(([, { aliases }]) => aliases.includes(index))?.[0];
  const message =
    holder === undefined ? `alias '${index}' is free` : `alias '${index}' leads to '${holder}', which is ours`;
  return { level: 'ok', subject: `${name}: index`, message };
}

async function aboutRecord(
  { name }: SearchSinkOptions,
  deployment: string,
  client: EngineClient,
): Promise<CheckResult> {
  const record = await new RecordStore(client, deployment, name).peek();
  const subject = `${name}: position`;
  if (record === null) return { level: 'ok', subject, message: 'the sink is new there' };
  if (record.deployment !== deployment) {
    const message = `the engine holds a sink of that name of a deployment named '${record.deployment}'`;
    return { level: 'error', subject, message, fix: 'Give this deployment another `name`.' };
  }
  const seq = record.visible?.cursor.seq;
  return { level: 'ok', subject, message: seq === undefined ? 'the sink is being filled' : `the sink is at ${seq}` };
}

async function aboutMapping({ name, index }: SearchSinkOptions, admin: IndexAdmin): Promise<CheckResult> {
  const probe = `${index}-check`;
  const subject = `${name}: mapping`;
  if (!(await admin.create(probe))) {
    const message = `'${probe}' exists, so that it was not tried`;
    return { level: 'warning', subject, message, fix: `DELETE /${probe}, left by a check that was cut off` };
  }
  await admin.drop(probe);
  return { level: 'ok', subject, message: 'an index with its mapping and settings can be made and dropped' };
}

function failed(subject: string, error: unknown): CheckResult {
  const hint = isTidemarkError(error) ? error.hint : undefined;
  return { level: 'error', subject, message: messageOf(error), ...(hint === undefined ? {} : { fix: hint }) };
}
