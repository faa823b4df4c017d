import { expect, test } from "bun:test";
import { CoordinatorClient } from "../../../src/client/coordinator-client.ts";
import { noAuthorization } from "../../harness/authorization.ts";
import { exitCodeOfRun, followRun } from "../../../src/commands/follow/follow-run.ts";
import { Run } from "../../../src/protocol/run.ts";
import type { SessionEvent } from "../../../src/protocol/session.ts";
import * as v from "valibot";
import { type StubServer, stubServer } from "../../client/stub-server.ts";
import { until } from "../../harness/until.ts";

interface Scene {
  status: string;
  /** Statuses of the next answers, each an error. */
  readonly errors: number[];
  readonly result: () => Response;
}

/** A coordinator with one run. `send` sends a frame to its stream. */
function coordinatorOf(scene: Scene): {
  server: StubServer;
  send: (frame: string) => void;
  isListening: () => boolean;
} {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const server = stubServer(({ url }) => {
    if (url.startsWith("/sse/")) return new Response(new ReadableStream({ start: (c) => void (controller = c) }));
    if (url.endsWith("/result")) return scene.result();
    const status = scene.errors.shift();
    if (status !== undefined) return Response.json({ detail: "error" }, { status });
    return Response.json({ run_id: "run_1", session_id: "ses_1", status: scene.status });
  });
  return {
    server,
    send: (frame) => controller?.enqueue(new TextEncoder().encode(frame)),
    isListening: () => controller !== undefined,
  };
}

const frame = (event: object): string => `event: event\ndata: ${JSON.stringify({ data: event })}\n\n`;
const clientOf = (server: StubServer): CoordinatorClient => new CoordinatorClient(server.url, noAuthorization);
const result = (): Response => Response.json({ result: "done" });

test("followRun: reports events and status changes at once, and the result at the end", async () => {
  const scene: Scene = { status: "pending", errors: [], result };
  const { server, send, isListening } = coordinatorOf(scene);
  await using _server = server;
  const events: SessionEvent[] = [];
  const statuses: string[] = [];
  const following = followRun(clientOf(server), "run_1", "ses_1", {
    onEvent: (event) => events.push(event),
    onStatus: (run) => statuses.push(run.status),
  });
  await until("the stream", isListening);
  scene.status = "running";
  send(frame({ event_type: "message", session_id: "ses_1" }));
  await until("the new status", () => statuses.at(-1) === "running");
  scene.status = "completed";
  send("event: session_updated\ndata: {}\n\n");
  const { run, result: text } = await following;
  expect([run.status, text, statuses]).toEqual(["completed", "done", ["pending", "running", "completed"]]);
  expect(events).toEqual([{ event_type: "message", session_id: "ses_1" }]);
});

test("followRun: follows retries to the end of the last attempt", async () => {
  await using server = stubServer(({ url }) => {
    if (url.startsWith("/sse/")) return new Response(new ReadableStream());
    if (url.endsWith("/result")) return result();
    if (url === "/runs/run_1")
      return Response.json({ run_id: "run_1", session_id: "ses_1", status: "failed", retried_by: "run_2" });
    return Response.json({ run_id: "run_2", session_id: "ses_1", status: "completed", retried_by: null });
  });
  const statuses: string[] = [];
  const { run } = await followRun(clientOf(server), "run_1", "ses_1", {
    onEvent() {},
    onStatus: (each) => statuses.push(each.status),
  });
  expect([run.run_id, run.status, statuses]).toEqual(["run_2", "completed", ["failed", "completed"]]);
});

test("followRun: waits out an outage of the coordinator", async () => {
  const { server } = coordinatorOf({ status: "completed", errors: [503, 500], result });
  await using _server = server;
  expect((await followRun(clientOf(server), "run_1", "ses_1", { onEvent() {} })).run.status).toBe("completed");
});

test("followRun: rejects for an unknown run", async () => {
  const { server } = coordinatorOf({ status: "x", errors: [404], result });
  await using _server = server;
  const following = followRun(clientOf(server), "run_1", "ses_1", { onEvent() {} });
  expect(await following.catch((error: unknown) => error)).toMatchObject({ kind: "refused", status: 404 });
});

test("followRun: waits out an outage between the end of the run and its result", async () => {
  const answers = [() => new Response(null, { status: 503 }), result];
  const { server } = coordinatorOf({ status: "completed", errors: [], result: () => answers.shift()?.() ?? result() });
  await using _server = server;
  expect((await followRun(clientOf(server), "run_1", "ses_1", { onEvent() {} })).result).toBe("done");
});

test("followRun: null for a run without a result; does not ask for the result of a failed one", async () => {
  const { server } = coordinatorOf({
    status: "completed",
    errors: [],
    result: () => Response.json({ detail: "none" }, { status: 404 }),
  });
  await using _server = server;
  expect((await followRun(clientOf(server), "run_1", "ses_1", { onEvent() {} })).result).toBeNull();
  const failed = coordinatorOf({ status: "failed", errors: [], result });
  await using other = failed.server;
  expect((await followRun(clientOf(other), "run_1", "ses_1", { onEvent() {} })).result).toBeNull();
  expect(other.received.some(({ url }) => url.endsWith("/result"))).toBe(false);
});

test("exitCodeOfRun: 0, 1 or 3", () => {
  const of = (status: string): number => exitCodeOfRun(v.parse(Run, { run_id: "run_1", session_id: "s", status }));
  expect(["completed", "failed", "stopped"].map(of)).toEqual([0, 1, 3]);
});
