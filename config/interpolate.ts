import type { Environment } from './config.ts';

export interface Interpolated {
  readonly text: string;
  /** Offsets in the given text of what is wrong, with the reason. */
  readonly mistakes: readonly { readonly offset: number; readonly message: string }[];
}

const reference = /\$(\$\{)|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\})?/g;

/**
 * Replaces `${NAME}` by the variable and `${NAME:-default}` by the default when the variable is unset or empty. `$${` stands for
 * `${` itself. Values are taken as they are: a `${` inside one is text.
 */
export function interpolate(text: string, environment: Environment): Interpolated {
  const mistakes: { offset: number; message: string }[] = [];
  const replaced = text.replaceAll(
    reference,
    (
      _,
      escaped: string | undefined,
      name: string | undefined,
      withDefault: string | undefined,
      fallback: string | undefined,
      offset: number,
    ) => {
      if (escaped !== undefined) return '${';
      if (name === undefined) {
        mistakes.push({
          offset,
          message: "'${' begins no variable; write ${NAME} or ${NAME:-default}, or $${ for the characters themselves",
        });
        return '';
      }
      const value = environment[name];
      if (withDefault !== undefined) return value === undefined || value === '' ? (fallback ?? '') : value;
      if (value === undefined) {
        mistakes.push({
          offset,
          message: `the environment variable ${name} is not set; set it, or write \${${name}:-default}`,
        });
      }
      return value ?? '';
    },
  );
  return { text: replaced, mistakes };
}
