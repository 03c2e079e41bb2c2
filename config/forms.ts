import * as z from 'zod';

/** NUL ends a text for the operating system, PostgreSQL and SQLite alike. */
export const text = z
  .string()
  .min(1, 'this must not be empty; give it a value or remove it')
  .refine((value) => !value.includes('\0'), { error: 'this holds the character NUL, which no name can; remove it' });

export const columnNames = z.array(text);
