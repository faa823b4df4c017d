import { Database } from "bun:sqlite";

/**
 * Listens on a free loopback port and prints the URL:
 * - `POST /echo`: parses the body as JSON, prints "arrived", and answers
 * - `POST /insert`: parses the body, and inserts one row in one SQLite transaction, without a wait for the disk
 * - `GET /stream` and `POST /fan-out`: sends the posted body to every open stream
 * - `GET /pending`: never answers
 * - anything else: 401, like the gateway's answer to an unknown token
 */
export function serve(databasePath: string): void {
  const db = new Database(databasePath, { create: true });
  for (const pragma of ["locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"])
    db.run(`PRAGMA ${pragma}`);
  db.run("CREATE TABLE rows (seq INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL) STRICT");
  const insert = db.query("INSERT INTO rows (body) VALUES (?)");
  const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const done = (): Response => Response.json({ ok: true });

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      switch (`${request.method} ${new URL(request.url).pathname}`) {
        case "POST /echo":
          JSON.parse(await request.text());
          process.stdout.write("arrived\n");
          return done();
        case "POST /insert": {
          const body = await request.text();
          JSON.parse(body);
          insert.run(body);
          return done();
        }
        case "POST /fan-out": {
          const bytes = new Uint8Array(await request.arrayBuffer());
          for (const stream of streams) stream.enqueue(bytes);
          return done();
        }
        case "GET /stream": {
          let own: ReadableStreamDefaultController<Uint8Array>;
          const stream = new ReadableStream<Uint8Array>({
            start(controller) {
              own = controller;
              streams.add(controller);
              controller.enqueue(new TextEncoder().encode(": connected\n\n"));
            },
            cancel: () => void streams.delete(own),
          });
          return new Response(stream, { headers: { "content-type": "text/event-stream" } });
        }
        case "GET /pending":
          return new Promise<Response>(() => {});
        default:
          return Response.json({ detail: "no such token" }, { status: 401 });
      }
    },
  });
  process.stdout.write(`listening http://127.0.0.1:${server.port}\n`);
}
