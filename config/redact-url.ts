const secretParameter = /pass|secret|token|key/i;

/**
 * A URL as it may be shown: without its password and without query values that could be secrets. What does not parse as a URL loses
 * everything between `//` and its last `@`.
 */
export function redactUrl(url: string): string {
  if (!URL.canParse(url)) return url.replace(/\/\/.*@/s, '//***@').replace(/\?.*$/s, '?***');
  const shown = new URL(url);
  if (shown.password !== '') shown.password = '***';
  for (const name of shown.searchParams.keys()) {
    if (secretParameter.test(name)) shown.searchParams.set(name, '***');
  }
  return shown.href;
}
