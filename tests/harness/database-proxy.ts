import { connect, createServer, type Server, type Socket } from "node:net";

/** Where a connection is cut at a COMMIT: before the server gets it, or before the client gets the answer. */
export type Cut = "before" | "after";

/** A proxy on 127.0.0.1 in front of a PostgreSQL server, which cuts connections at their COMMIT. */
export class DatabaseProxy implements AsyncDisposable {
  /** Called at each COMMIT; undefined: it passes. */
  onCommit: () => Cut | undefined = () => undefined;
  /** COMMITs that were cut. */
  cuts = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #targetPort: number;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer((client) => this.#serve(client));
  }

  static async start(targetPort: number): Promise<DatabaseProxy> {
    const proxy = new DatabaseProxy(targetPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** `url` with the proxy's address. */
  through(url: string): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy does not listen");
    return url.replace(`:${this.#targetPort}/`, `:${address.port}/`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(client: Socket): void {
    const server = connect(this.#targetPort, "127.0.0.1");
    const end = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", end).on("close", () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    const commits = new CommitWatch();
    let cut: Cut | undefined;
    client.on("data", (bytes: Buffer) => {
      if (commits.isIn(bytes)) cut = this.onCommit();
      if (cut !== undefined) this.cuts++;
      if (cut === "before") end();
      else server.write(bytes);
    });
    server.on("data", (bytes) => {
      if (cut === "after") end();
      else client.write(bytes);
    });
  }
}

/** Finds a COMMIT among what a client sends, as a text or as the name of a prepared statement. */
class CommitWatch {
  #name: string | undefined;

  isIn(bytes: Buffer): boolean {
    const text = bytes.toString("latin1");
    const [, name] = /P....(\w*)\0COMMIT\b/s.exec(text) ?? [];
    this.#name = name ?? this.#name;
    if (name !== undefined || text.includes("COMMIT\0")) return true;
    // Bind: an unnamed portal, then the name of the statement.
    return this.#name !== undefined && new RegExp(`B....\0${this.#name}\0`, "s").test(text);
  }
}
