import { expect, setDefaultTimeout, test } from "bun:test";
import * as v from "valibot";
import { Status } from "../../src/telemetry/status.ts";
import { stubServer } from "../client/stub-server.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const PARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;

interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
}

async function metricsUrl(runner: { line(pattern: RegExp): Promise<RegExpExecArray> }): Promise<string> {
  const [, url = ""] = await runner.line(/Metrics at (\S+)\/metrics/);
  return url;
}

test("--metrics: readiness, status and counts follow a run from its claim to its acknowledgement", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const url = await metricsUrl(world.runner(fake.url, "waits-for-release", ["--metrics", "127.0.0.1:0"]));
  const text = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();
  await world.file(`${run.run_id}.ready`);
  const status = v.parse(Status, await (await fetch(`${url}/status.json`)).json());
  expect(status).toMatchObject({
    ready: true,
    command: "runner",
    executor: "waits-for-release",
    runner: { state: "online", coordinator_up: true },
  });
  expect(status.runner?.runs.map(({ run_id, state }) => ({ run_id, state }))).toEqual([
    { run_id: run.run_id, state: "running" },
  ]);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect(await text()).toContain('agent_runner_runs_in_flight{state="running"} 1');
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  await until("the run counted", async () => (await text()).includes('agent_runner_runs_total{outcome="succeeded"} 1'));
  expect(await text()).toContain("agent_runner_run_start_delay_seconds_count 1");
});

test("--metrics: during an outage of the coordinator the runner is alive but not ready", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const url = await metricsUrl(world.runner(fake.url, "prints-hello", ["--metrics", "0"]));
  await until("ready", async () => (await fetch(`${url}/readyz`)).status === 200);
  await fake.down();
  await until("not ready", async () => (await fetch(`${url}/readyz`)).status === 503);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect(await (await fetch(`${url}/metrics`)).text()).toContain("agent_runner_coordinator_up 0");
  await fake.up();
  await until("ready again", async () => (await fetch(`${url}/readyz`)).status === 200);
});

test("OTEL_EXPORTER_OTLP_ENDPOINT: one span tree per run in the run's trace; executors get the context", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const receiver = world.own(stubServer(() => Response.json({})));
  const run = fake.queue({ extra: { traceparent: PARENT, tracestate: "vendor=1" } });
  const secret = "authorization=Bearer%20secret";
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: secret,
    TRACEPARENT: `00-${"1".repeat(32)}-${"1".repeat(16)}-01`,
  };
  const runner = world.runner(fake.url, "records-invocation", [], env);
  await until("completed", () => run.status === "completed");
  runner.signal("SIGINT");
  expect(await runner.exited).toBe(0);

  expect([...new Set(receiver.received.map(({ url }) => url))]).toEqual(["/v1/traces"]);
  expect(receiver.received[0]?.headers.get("authorization")).toBe("Bearer secret");
  const spans = receiver.received.flatMap(({ body }) => spansOf(body));
  const root = spans.find(({ name }) => name === "run start_session");
  expect(spans.map(({ name }) => name).sort()).toEqual([
    "execute",
    "prepare",
    "report",
    "run start_session",
    "wait for turn",
  ]);
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE_ID]));
  expect(root?.parentSpanId).toBe("b7ad6b7169203331");
  for (const span of spans) {
    if (span !== root) expect(span.parentSpanId).toBe(root?.spanId ?? "");
    expect(BigInt(span.startTimeUnixNano)).toBeLessThanOrEqual(BigInt(span.endTimeUnixNano));
  }
  const environment = (await world.file(`${run.run_id}.env`)).split("\n");
  expect(environment).toContain(`TRACEPARENT=00-${TRACE_ID}-${root?.spanId}-01`);
  expect(environment).toContain("TRACESTATE=vendor=1");
  expect(environment.filter((line) => line.includes("secret"))).toEqual([]);
});

test("a trace continues from a run's creator to the run, its child, and the resumed parent", async () => {
  await using world = new World();
  const receiver = world.own(stubServer(() => Response.json({})));
  const { api } = await world.coordinator();
  const runner = world.runner(api.url, "test-executor", [], { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  await fetch(`${api.url}/runs`, {
    method: "POST",
    headers: { traceparent: PARENT },
    body: JSON.stringify({ type: "start_session", prompt: "!child hello" }),
  });
  await until(
    "three runs completed",
    async () => (await api.runs()).filter(({ status }) => status === "completed").length === 3,
  );
  runner.signal("SIGINT");
  expect(await runner.exited).toBe(0);

  const spans = receiver.received.flatMap(({ body }) => spansOf(body)).filter(({ name }) => name.startsWith("run "));
  const parent = spans.find(
    ({ name, parentSpanId }) => name === "run start_session" && parentSpanId === "b7ad6b7169203331",
  );
  const child = spans.find(({ parentSpanId }) => parentSpanId === parent?.spanId);
  expect(spans.map(({ traceId }) => traceId)).toEqual([TRACE_ID, TRACE_ID, TRACE_ID]);
  expect(child?.name).toBe("run start_session");
  expect(spans.find(({ name }) => name === "run resume_session")?.parentSpanId).toBe("b7ad6b7169203331");
});

test("without OTEL variables the executor gets the run's trace context unchanged, or none", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const traced = fake.queue({ extra: { traceparent: PARENT } });
  const untraced = fake.queue({ extra: { traceparent: "nonsense" } });
  world.runner(fake.url, "records-invocation");
  await until("completed", () => traced.status === "completed" && untraced.status === "completed");
  expect((await world.file(`${traced.run_id}.env`)).split("\n")).toContain(`TRACEPARENT=${PARENT}`);
  expect(await world.file(`${untraced.run_id}.env`)).not.toContain("TRACEPARENT");
});

test("an unreachable trace receiver delays neither a run nor the runner's shutdown", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "prints-hello", [], { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" });
  await until("completed", () => run.status === "completed");
  runner.signal("SIGINT");
  expect(await runner.exited).toBe(0);
  expect(runner.stdout()).toContain("Could not send the last traces in time");
});

function spansOf(body: string): WireSpan[] {
  const { resourceSpans } = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: WireSpan[] }[] }[] };
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}
