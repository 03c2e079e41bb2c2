import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { redact, SecretFilter, secretsOf } from '../../telemetry/secrets.ts';

test('passwords in URLs and settings are masked by their form alone', () => {
  expect(redact('connect postgres://app:s3cret@db:5432/shop failed')).toBe(
    'connect postgres://app:***@db:5432/shop failed',
  );
  expect(redact('redis://:s3cret@cache')).toBe('redis://:***@cache');
  expect(redact('postgres://u:p@ss@h/d')).toBe('postgres://u:***@h/d');
  expect(redact('host=db password=s3cret user=app')).toBe('host=db password=*** user=app');
  expect(redact('Authorization: Bearer abc.def-123')).toBe('Authorization: Bearer ***');
  expect(redact('see https://example.org:8080/path and a@b')).toBe('see https://example.org:8080/path and a@b');
});

test('the secrets of a configuration are found wherever they are', () => {
  const secrets = secretsOf({
    sources: [{ url: 'postgres://app:p%40ss-word@db/shop?sslmode=require&password=other-one' }],
    http: { token: 'api-token', port: 7070 },
    sinks: { hook: { secret: 'hmac-key', url: 'http://127.0.0.1/hook' } },
  });
  expect([...secrets].toSorted()).toEqual(['api-token', 'hmac-key', 'other-one', 'p%40ss-word', 'p@ss-word']);
});

test('a password that is also the user name does not hide every mention of the name', () => {
  expect([...secretsOf({ url: 'postgres://postgres:postgres@db/shop' })]).toEqual([]);
});

test('a known secret does not survive in any spelling', () => {
  fc.assert(
    fc.property(
      fc
        .string({ minLength: 4, maxLength: 40 })
        .filter((secret) => !'*'.repeat(3).includes(secret) && secret.trim() !== ''),
      fc.string({ maxLength: 20 }),
      (secret, around) => {
        fc.pre(!around.includes(secret) && !secret.includes('***'));
        const filter = new SecretFilter([secret]);
        for (const spelled of [secret, encodeURIComponent(secret), JSON.stringify(secret)]) {
          expect(filter.clean(`${around} ${spelled} ${around}`).includes(spelled)).toBe(false);
        }
      },
    ),
  );
});
