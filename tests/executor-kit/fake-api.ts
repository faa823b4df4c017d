export interface Call {
  readonly method: string;
  /** Without the secret part of the path. */
  readonly path: string;
  readonly body: Record<string, unknown>;
}

export interface FakeApi extends Disposable {
  /** Has a secret in its path, like the gateway's URL. */
  readonly url: string;
  readonly calls: Call[];
  /** `POST /sessions/x/events` of type message as `message user`, everything else as `POST /path`. */
  outline(): string[];
}

const SECRET = "/run/s3cret";

/** A real HTTP server that records every call and answers `{"ok": true}`, unless `answer` returns a response. */
export function fakeApi(
  answer: (call: Call) => Response | undefined | Promise<Response | undefined> = () => undefined,
): FakeApi {
  const calls: Call[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (!pathname.startsWith(`${SECRET}/`)) return new Response("no such run", { status: 404 });
      const text = await request.text();
      const call = {
        method: request.method,
        path: pathname.slice(SECRET.length),
        body: text === "" ? {} : JSON.parse(text),
      };
      calls.push(call);
      return (await answer(call)) ?? Response.json({ ok: true });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}${SECRET}`,
    calls,
    outline: () => calls.map(outlineOf),
    [Symbol.dispose]() {
      void server.stop(true);
    },
  };
}

function outlineOf({ method, path, body }: Call): string {
  if (!path.endsWith("/events")) return `${method} ${path}`;
  return body["role"] === undefined
    ? String(body["event_type"])
    : `${String(body["event_type"])} ${String(body["role"])}`;
}
