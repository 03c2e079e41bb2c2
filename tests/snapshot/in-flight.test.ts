import { describe, expect, it } from 'vitest';
import { InFlight } from '../../snapshot/in-flight.ts';

const mebibyte = 1024 * 1024;

describe('memory of chunks in flight', () => {
  it('keeps two workers reading while a chunk of the usual size waits', () => {
    const flight = afterChunkOf(2.5 * mebibyte);
    flight.readBegins();
    flight.readEnds(2.5 * mebibyte);
    flight.readBegins();
    expect(flight.hasRoom).toBe(true);
  });

  it('lets no more reads begin than chunks of the size seen last would fit', () => {
    const flight = afterChunkOf(2.5 * mebibyte);
    let begun = 0;
    for (; begun < 100 && flight.hasRoom; begun++) flight.readBegins();
    expect(begun).toBe(3);
  });

  it('reads tables of huge rows one chunk at a time, and never stops', () => {
    const flight = afterChunkOf(30 * mebibyte);
    expect(flight.hasRoom).toBe(true);
    flight.readBegins();
    expect(flight.hasRoom).toBe(false);
    flight.readEnds(30 * mebibyte);
    expect(flight.hasRoom).toBe(false);
    flight.release(30 * mebibyte);
    expect(flight.hasRoom).toBe(true);
  });

  it('counts for nothing what failed', () => {
    const flight = afterChunkOf(8 * mebibyte);
    flight.readBegins();
    expect(flight.hasRoom).toBe(false);
    flight.readEnds(0);
    expect(flight.hasRoom).toBe(true);
  });
});

function afterChunkOf(bytes: number): InFlight {
  const flight = new InFlight();
  flight.readBegins();
  flight.readEnds(bytes);
  flight.release(bytes);
  return flight;
}
