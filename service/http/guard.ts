import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { TidemarkError } from '../../base/errors.ts';

/** Paths that answer without a token: whoever probes a process's health has none. */
const openPaths: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/** Nothing that the API answers is a page, a frame or somebody's script. */
const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

/** Puts headers on every answer, and lets only those in who may come. */
export function guard(server: FastifyInstance, options: { token: string | undefined; host: string }): void {
  const expected = options.token === undefined ? null : digest(options.token);
  server.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders);
    const path = request.url.split('?', 1)[0] ?? '';
    if (openPaths.has(path)) return;
    if (expected) {
      if (isBearer(request, expected)) return;
      reply.header('www-authenticate', 'Bearer realm="tidemark"');
      throw new TidemarkError('HTTP_TOKEN', 'this path wants the token of http.token', {
        hint: 'Send it as `Authorization: Bearer <token>`.',
      });
    }
    if (isLoopback(options.host)) refuseStrangers(request);
  });
}

/** The headers for an answer that is written past fastify. */
export function rawHeaders(): Readonly<Record<string, string>> {
  return securityHeaders;
}

function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
}

function isBearer(request: FastifyRequest, expected: Buffer): boolean {
  const match = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '');
  // Digests have one length, whatever was sent: the comparison tells nothing about the token by its time.
  return match?.[1] !== undefined && timingSafeEqual(digest(match[1]), expected);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/**
 * Without a token, the loopback address is the only fence, and a web page in a browser on this machine stands inside it: a name
 * that resolves to 127.0.0.1 (DNS rebinding) makes its requests same-origin. Such a request names a foreign host or origin.
 */
function refuseStrangers(request: FastifyRequest): void {
  const { origin } = request.headers;
  const hosts = [`http://${request.headers.host ?? ''}`, ...(origin === undefined ? [] : [origin])];
  for (const text of hosts) {
    if (URL.canParse(text) && isLoopback(new URL(text).hostname)) continue;
    throw new TidemarkError('HTTP_TOKEN', 'the request names a host or an origin that is not this machine', {
      hint: 'Use http://127.0.0.1, or set http.token and send it.',
    });
  }
}
