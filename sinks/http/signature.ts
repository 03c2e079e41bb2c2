import { createHmac } from 'node:crypto';

const encodedPrefix = 'whsec_';

/**
 * The headers that sign a request, as https://www.standardwebhooks.com has them: the HMAC-SHA256 of `<id>.<timestamp>.<body>`, in Base64.
 * A secret that begins with `whsec_` is Base64 of the key's bytes; any other is the key itself.
 */
export function signatureHeaders(
  secret: string,
  request: { readonly id: string; readonly timeMs: number; readonly body: Buffer },
): Record<string, string> {
  const timestamp = String(Math.floor(request.timeMs / 1000));
  const key = secret.startsWith(encodedPrefix)
    ? Buffer.from(secret.slice(encodedPrefix.length), 'base64')
    : Buffer.from(secret);
  const signature = createHmac('sha256', key)
    .update(`${request.id}.${timestamp}.`)
    .update(request.body)
    .digest('base64');
  return { 'webhook-id': request.id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
