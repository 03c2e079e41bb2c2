/** Limits that more than one room relies on, each with its reason. Limits of one room live in that room. */

/** Largest piece of a transaction that moves as one buffer. Big enough that per-piece work vanishes, small enough that a few in flight stay within the memory budget. */
export const pieceBytesMax = 1024 * 1024;

/** Largest encoded key. PostgreSQL's btree refuses keys over a third of a page (2,704 bytes); the key's length travels in 16 bits. */
export const keyBytesMax = 65_535;

/** Longest single wait between two attempts at something that keeps failing. */
export const retryDelayMsMax = 30_000;
