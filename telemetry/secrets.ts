/** What stands in place of a secret. */
const mask = '***';

/** Shorter values are not searched for in text: they would take ordinary words and numbers with them. */
const searchedMin = 4;

const urlPassword = /\b([a-z][a-z0-9+.-]*:\/\/[^\s/:@"']*):[^\s/"']*@/gi;
const keyValue = /\b(password|passwd|pwd|secret|token|apikey|api_key)=([^\s&"']+)/gi;
const bearer = /\b(bearer)\s+[\w.~+/=-]+/gi;

/** A text without the passwords that its form gives away: in URLs, in `password=…`, in `Bearer …`. */
export function redact(text: string): string {
  return text.replace(urlPassword, `$1:${mask}@`).replace(keyValue, `$1=${mask}`).replace(bearer, `$1 ${mask}`);
}

/**
 * Takes known secrets, and anything that looks like one, out of text on its way to a log, a terminal, status or an HTTP answer.
 * Servers and libraries quote what they were given; this is the last gate, whatever they say.
 */
export class SecretFilter {
  #needles: readonly string[] = [];

  constructor(secrets: Iterable<string> = []) {
    this.learn(secrets);
  }

  /** Adds secrets that came to be known. */
  learn(secrets: Iterable<string>): void {
    const needles = new Set(this.#needles);
    for (const secret of secrets) {
      if (secret.length < searchedMin) continue;
      // As it is, as a URL spells it, and as a JSON string spells it.
      for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) needles.add(form);
    }
    // The longest first, so that no tail of a secret stays behind when another is its beginning.
    this.#needles = [...needles].toSorted((a, b) => b.length - a.length);
  }

  clean(text: string): string {
    let result = redact(text);
    for (const needle of this.#needles) if (result.includes(needle)) result = result.replaceAll(needle, mask);
    return result;
  }
}

const secretNames = /^(password|passwd|pwd|secret|token|api_?key|passphrase)$/i;

/**
 * The secrets that a configuration holds: passwords in URLs, and values whose name says so. One that equals a plain part of
 * its URL (a user `postgres` with the password `postgres`) is left out: hiding it would hide the names too, and hide nothing.
 */
export function secretsOf(value: unknown, name = '', found: Set<string> = new Set()): Set<string> {
  if (typeof value === 'string') {
    if (secretNames.test(name)) found.add(value);
    else addUrlSecrets(value, found);
  } else if (Array.isArray(value)) {
    for (const item of value) secretsOf(item, name, found);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) secretsOf(item, key, found);
  }
  return found;
}

function addUrlSecrets(text: string, found: Set<string>): void {
  if (!text.includes('://')) return;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return;
  }
  const plain = new Set([url.username, url.hostname, url.protocol.slice(0, -1), url.pathname.slice(1)]);
  const candidates = [
    url.password,
    ...[...url.searchParams].flatMap(([key, item]) => (secretNames.test(key) ? item : [])),
  ];
  for (const candidate of candidates) {
    if (candidate === '' || plain.has(candidate)) continue;
    found.add(candidate);
    try {
      found.add(decodeURIComponent(candidate));
    } catch {
      // Not percent-encoded: the raw text is all there is.
    }
  }
}
