import { TidemarkError } from '../../base/errors.ts';
import type { RedisSinkOptions } from '../options.ts';
import type { RedisPlace } from './connection.ts';
import { keyFormOfTemplate } from './key-form.ts';

/** The errors of the target that are not the server's own words. */

export function broken({ label }: RedisPlace): TidemarkError {
  return new TidemarkError('SINK_UNREACHABLE', `The connection to Redis at ${label} broke`, {
    hint: 'It is made again, and delivery goes on from what Redis holds then.',
  });
}

/** Rows that stay as they are would keep the columns of before; the log has them all. */
export function columnsChanged(sink: string): TidemarkError {
  return new TidemarkError('SINK_FAILED', `The columns of sink '${sink}' changed`, {
    hint: 'Its rows are written again from the log, and those with the old columns stay until that is done.',
    place: { sink },
  });
}

export function foreignRecord(key: string, { label }: RedisPlace): TidemarkError {
  return new TidemarkError('SINK_TARGET', `The key ${key} in Redis at ${label} is not of this program's making`, {
    hint: 'Remove it, or give the sink another database.',
  });
}

export function foreignKey({ name, key }: RedisSinkOptions, found: string, { label }: RedisPlace): TidemarkError {
  const { pattern } = keyFormOfTemplate(key);
  const message = `Redis at ${label} holds keys that sink '${name}' has not written, such as ${found}`;
  return new TidemarkError('SINK_TARGET', message, {
    hint: `Give the sink another \`key\` or database. If nobody needs them any more, remove the keys that redis-cli --scan --pattern '${pattern}' lists on ${label}.`,
    place: { sink: name },
  });
}
