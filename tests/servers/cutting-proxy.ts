import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

/**
 * Stands between a client and a server on 127.0.0.1 and breaks the connection at one chosen write of the client: before it has reached
 * the server, or after, when the answer is lost.
 */
export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Writes of clients, of all connections. */
  writes = 0;
  /** The connection breaks at the write of this number. */
  cutAt = Infinity;
  cutAfter = false;
  /** Where new connections lead. */
  target: number;
  /** Called when the connection breaks, before the client hears of it. */
  onCut: () => Promise<void> = async () => undefined;

  private constructor(target: number) {
    this.target = target;
    this.#server = createServer((client) => {
      const upstream = connect(this.target, '127.0.0.1');
      this.#sockets.add(client).add(upstream);
      const end = (): void => {
        client.destroy();
        upstream.destroy();
      };
      let isCut = false;
      client.on('data', (data) => {
        if (isCut) return;
        isCut = ++this.writes === this.cutAt;
        if (!isCut || this.cutAfter) upstream.write(data);
        if (isCut && !this.cutAfter) void this.onCut().then(end, end);
      });
      upstream.on('data', (data) => {
        if (!isCut) client.write(data);
        else if (this.cutAfter) void this.onCut().then(end, end);
      });
      for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
    });
  }

  static async start(target: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
