/**
 * Hashes of documents and their sums. A sum over the rows of a bucket does not depend on the order in which they come, so that a source
 * and a target that give their rows in different orders can be compared bucket by bucket, in memory that does not depend on
 * the number of rows.
 */

/** Buckets of the first reading: 4 MiB of counters. Of a million rows, four share one. */
const bucketBits = 18;
const bucketCount = 1 << bucketBits;

/** The hash written last: 64 bits in two halves. One object for all, so that hashing allocates nothing. */
export const hashed = { high: 0, low: 0 };

/** Hashes a text into `hashed`, from the state that stands there if `goesOn`. (cyrb53 by bryc, public domain, both halves kept.) */
export function hashText(text: string, goesOn: boolean): void {
  let a = goesOn ? hashed.high : 0xdeadbeef;
  let b = goesOn ? hashed.low : 0x41c6ce57;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, 0x9e3779b1);
    b = Math.imul(b ^ code, 0x5f356495);
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  hashed.high = a >>> 0;
  hashed.low = b >>> 0;
}

/** The bucket of a key; leaves the key's hash in `hashed`, from which `hashText` goes on with the text. */
export function bucketOf(key: string): number {
  hashText(key, false);
  return hashed.low >>> (32 - bucketBits);
}

/** The sum of what there should be less what there is, bucket by bucket: all zero when the two sides are alike. */
export class Buckets {
  readonly #high = new Uint32Array(bucketCount);
  readonly #low = new Uint32Array(bucketCount);
  /** Rows of both sides. */
  readonly #rows = new Uint32Array(bucketCount);
  /** Rows that there should be, less those that there are. */
  readonly #balance = new Int32Array(bucketCount);

  /** Adds a document of one side (`weight` 1), or takes away one of the other (-1). */
  add(key: string, text: string, weight: 1 | -1): void {
    const bucket = bucketOf(key);
    hashText(text, true);
    // Typed arrays wrap around, as sums modulo 2^32 are to.
    this.#high[bucket] = (this.#high[bucket] as number) + weight * hashed.high;
    this.#low[bucket] = (this.#low[bucket] as number) + weight * hashed.low;
    this.#rows[bucket] = (this.#rows[bucket] as number) + 1;
    this.#balance[bucket] = (this.#balance[bucket] as number) + weight;
  }

  /** The buckets that differ, in groups of about `rowsMax` rows. */
  *differing(rowsMax: number): Generator<BucketSet> {
    let group = new BucketSet();
    let rows = 0;
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      if (this.#high[bucket] === 0 && this.#low[bucket] === 0 && this.#balance[bucket] === 0) continue;
      group.add(bucket);
      rows += this.#rows[bucket] as number;
      if (rows < rowsMax) continue;
      yield group;
      group = new BucketSet();
      rows = 0;
    }
    if (rows > 0) yield group;
  }
}

/** Some of the buckets, a bit each. */
export class BucketSet {
  readonly #bits = new Uint8Array(bucketCount >>> 3);

  add(bucket: number): void {
    this.#bits[bucket >>> 3] = (this.#bits[bucket >>> 3] as number) | (1 << (bucket & 7));
  }

  has(bucket: number): boolean {
    return ((this.#bits[bucket >>> 3] as number) & (1 << (bucket & 7))) !== 0;
  }
}

/** What both sides hold under one key. */
export class Entry {
  /** Rows that there should be; more than one only where rows have no key. */
  expectedRows = 0;
  heldRows = 0;
  expected = 0;
  held = 0;
  /** The same, of hashes that do not depend on the order of characters. */
  expectedBag = 0;
  heldBag = 0;

  /** One more row, of several that may be alike. */
  add(hash: number, weight: 1 | -1): void {
    if (weight > 0) {
      this.expectedRows++;
      this.expected = addHash(this.expected, hash);
    } else {
      this.heldRows++;
      this.held = addHash(this.held, hash);
    }
  }

  /** The one row of a side. A target that is read while it changes may give it twice. */
  set(hash: number, bag: number, weight: 1 | -1): void {
    if (weight > 0) {
      this.expectedRows = 1;
      this.expected = hash;
      this.expectedBag = bag;
    } else {
      this.heldRows = 1;
      this.held = hash;
      this.heldBag = bag;
    }
  }

  get isEqual(): boolean {
    return this.expectedRows === this.heldRows && this.expected === this.held;
  }
}

/** The hash written last as one number, of which sums are exact modulo 2^53. */
export function hashNumber(): number {
  return (hashed.high & 0x1f_ffff) * 0x1_0000_0000 + hashed.low;
}

export function addHash(sum: number, hash: number): number {
  const total = sum + hash;
  // Neither of the two exceeds 2^53, so this is exact.
  return total >= 2 ** 53 ? sum - (2 ** 53 - hash) : total;
}

/** A hash that texts share whose characters are the same in another order. */
export function bagOf(text: string): number {
  let high = 0;
  let low = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index) + 1;
    high = (high + Math.imul(code ^ (code << 11), 0x9e3779b1)) | 0;
    low = (low + Math.imul(code ^ (code << 7), 0xc2b2ae35)) | 0;
  }
  return (high & 0x1f_ffff) * 0x1_0000_0000 + (low >>> 0);
}
