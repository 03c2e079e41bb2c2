import { createServer, connect } from 'node:net';
import type { Server, Socket } from 'node:net';

/** `up` is from the client to the server, `down` from the server to the client. */
export type Direction = 'up' | 'down';

interface Link {
  readonly client: Socket;
  readonly server: Socket;
}

/**
 * Stands between a client and a server on loopback, as a network that can fail. It can hold bytes back without closing anything (a
 * cable pulled out: neither side is told), cut connections, and refuse new ones.
 */
export class TcpProxy {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #links = new Set<Link>();
  readonly #stalled = new Set<Direction>();
  /** Bytes forwarded since the start. */
  readonly bytes: Record<Direction, number> = { up: 0, down: 0 };
  /** Connections accepted since the start. */
  accepted = 0;
  #refusing = false;
  #cutAfter: { direction: Direction; bytes: number } | null = null;

  private constructor(target: { host: string; port: number }) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: false, pauseOnConnect: true }, (client) => this.#accept(client));
  }

  static async start(port: number, host = '127.0.0.1'): Promise<TcpProxy> {
    const proxy = new TcpProxy({ host, port });
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Connections open now. */
  get open(): number {
    return this.#links.size;
  }

  /** A URL with the proxy in place of the server. */
  through(url: string): string {
    const changed = new URL(url);
    changed.hostname = '127.0.0.1';
    changed.port = String(this.port);
    return changed.href;
  }

  /**
   * From now on bytes are taken from neither side's socket (or from one only), on open and on new connections alike: buffers
   * fill and answers stay away, but nobody is told. What was held back goes on its way at `resume`.
   */
  stall(...directions: Direction[]): void {
    for (const direction of directions.length > 0 ? directions : (['up', 'down'] as const))
      this.#stalled.add(direction);
    for (const link of this.#links) this.#apply(link);
  }

  /** The network is whole again. */
  resume(): void {
    this.#stalled.clear();
    this.#cutAfter = null;
    this.#refusing = false;
    for (const link of this.#links) this.#apply(link);
  }

  /** Resets every open connection, on both sides. `refuse`: new ones are reset, too, until `resume`. */
  cut(options: { refuse?: boolean } = {}): void {
    this.#refusing = options.refuse === true;
    for (const { client, server } of this.#links) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Cuts everything once so many bytes have gone through in a direction, counted from now: in the middle of a message. */
  cutAfter(direction: Direction, bytes: number): void {
    this.#cutAfter = { direction, bytes };
  }

  async stop(): Promise<void> {
    this.cut({ refuse: true });
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #accept(client: Socket): void {
    client.on('error', () => undefined);
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    this.accepted++;
    const server = connect({ ...this.#target, noDelay: true });
    server.pause();
    client.setNoDelay(true);
    const link = { client, server };
    this.#links.add(link);
    const close = (): void => {
      this.#links.delete(link);
      // An orderly end of one side reaches the other after the bytes before it – unless the cable is out.
      client.destroySoon();
      server.destroySoon();
    };
    server.on('error', close);
    server.on('close', close);
    client.on('close', close);
    this.#forward(client, server, 'up');
    this.#forward(server, client, 'down');
    this.#apply(link);
  }

  #forward(from: Socket, to: Socket, direction: Direction): void {
    from.on('data', (chunk: Buffer) => {
      this.bytes[direction] += chunk.length;
      const limit = this.#cutAfter;
      if (limit?.direction === direction) {
        if (chunk.length >= limit.bytes) {
          this.#cutAfter = null;
          to.write(chunk.subarray(0, limit.bytes), () => this.cut());
          return;
        }
        limit.bytes -= chunk.length;
      }
      if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => {
          if (!this.#stalled.has(direction)) from.resume();
        });
      }
    });
    from.on('end', () => {
      if (!this.#stalled.has(direction)) to.end();
    });
  }

  #apply({ client, server }: Link): void {
    for (const [direction, from] of [
      ['up', client],
      ['down', server],
    ] as const) {
      if (this.#stalled.has(direction)) from.pause();
      else from.resume();
    }
  }
}
