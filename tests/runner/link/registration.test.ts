import { expect, test } from "bun:test";
import { CoordinatorClient } from "../../../src/client/coordinator-client.ts";
import { noAuthorization } from "../../harness/authorization.ts";
import { UserError } from "../../../src/errors.ts";
import { Link } from "../../../src/runner/link/link.ts";
import { Registration, type RegistrationOptions } from "../../../src/runner/link/registration.ts";
import { type Received, type StubServer, stubServer } from "../../client/stub-server.ts";
import { until } from "../../harness/until.ts";
import { recordedLog } from "../recorded-log.ts";

const ANSWER = {
  runner_id: "lnch_1",
  poll_endpoint: "/runner/runs",
  poll_timeout_seconds: 25,
  heartbeat_interval_seconds: 45,
};
const DUPLICATE = {
  detail: { error: "duplicate_runner", message: "already there", runner_id: "lnch_old", hostname: "this-host" },
};
const forever = (): AbortSignal => new AbortController().signal;

function registrationAt(
  server: StubServer,
  more: Partial<RegistrationOptions> = {},
): { registration: Registration; lines: string[]; link: Link } {
  const { log, lines } = recordedLog();
  const link = new Link(log, 0, () => {});
  const registration = new Registration({
    coordinator: new CoordinatorClient(server.url, noAuthorization),
    link,
    log,
    hostname: "this-host",
    projectDir: "/p",
    executorType: "test-executor",
    executorCommand: "/x/ao-test-exec",
    tags: [],
    isAlone: true,
    instanceId: "instance-1",
    supersedes: [],
    onSuperseded: () => {},
    pollTimeoutSeconds: undefined,
    heartbeatIntervalSeconds: undefined,
    ...more,
  });
  return { registration, lines, link };
}

const server = (answer: (received: Received) => Response = () => Response.json(ANSWER)): StubServer =>
  stubServer((received) => answer(received));
const pathsOf = ({ received }: StubServer): string[] => received.map(({ url }) => url);

async function faultOf(registering: Promise<void>): Promise<UserError> {
  return registering.then(
    () => Promise.reject(new Error("it was registered")),
    (error: unknown) => (error instanceof UserError ? error : Promise.reject(error as Error)),
  );
}

test("Registration: sends the fields of both generations, without empty ones", async () => {
  await using coordinator = server();
  await registrationAt(coordinator).registration.register(forever());
  await registrationAt(coordinator, { tags: ["gpu"] }).registration.register(forever());
  const [first, second] = coordinator.received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  expect(first).toEqual({
    hostname: "this-host",
    project_dir: "/p",
    executor_type: "test-executor",
    executor_profile: "test-executor",
    executor: { type: "autonomous", command: "/x/ao-test-exec", config: {}, lifecycle: "one_shot" },
    instance_id: "instance-1",
    supersedes: [],
  });
  expect(second?.["tags"]).toEqual(["gpu"]);
});

test("Registration: the coordinator's answer holds without a setting of the user", async () => {
  await using coordinator = server();
  const { registration } = registrationAt(coordinator);
  expect(() => registration.runnerId).toThrow("not registered yet");
  await registration.register(forever());
  expect(registration).toMatchObject({
    runnerId: "lnch_1",
    pollTimeoutSeconds: 25,
    heartbeatIntervalSeconds: 45,
    takesCapacity: false,
  });
});

test("Registration: a setting of the user holds, but does not shorten the polls", async () => {
  await using coordinator = server();
  const short = registrationAt(coordinator, { pollTimeoutSeconds: 5, heartbeatIntervalSeconds: 7 }).registration;
  const long = registrationAt(coordinator, { pollTimeoutSeconds: 90 }).registration;
  await short.register(forever());
  await long.register(forever());
  expect([short.pollTimeoutSeconds, short.heartbeatIntervalSeconds, long.pollTimeoutSeconds]).toEqual([25, 7, 90]);
});

test("Registration: defaults to 30 and 60 seconds; takes capacity if the coordinator offers it", async () => {
  await using coordinator = server(() => Response.json({ runner_id: "lnch_1", capabilities: ["capacity"] }));
  const { registration } = registrationAt(coordinator);
  await registration.register(forever());
  expect(registration).toMatchObject({ pollTimeoutSeconds: 30, heartbeatIntervalSeconds: 60, takesCapacity: true });
});

test("Registration: waits for a coordinator that answers with errors, and logs one line", async () => {
  let count = 0;
  await using coordinator = server(() => (++count < 3 ? new Response("", { status: 503 }) : Response.json(ANSWER)));
  const { registration, lines } = registrationAt(coordinator);
  await registration.register(forever());
  expect(registration.isRegistered).toBe(true);
  expect(lines).toEqual([expect.stringContaining("is away"), expect.stringContaining("is back")]);
});

test("Registration: stops waiting when its signal fires", async () => {
  await using coordinator = server(() => new Response("", { status: 503 }));
  const controller = new AbortController();
  const { registration } = registrationAt(coordinator);
  const registering = registration.register(controller.signal);
  await until("the first attempt", () => coordinator.received.length > 0);
  controller.abort();
  await registering;
  expect(registration.isRegistered).toBe(false);
});

test.each([
  [401, "refuses this runner's credentials", "AGENT_COORDINATOR_TOKEN"],
  [403, "does not allow this runner", undefined],
  [307, "has moved to", undefined],
  [404, "is not an Agent Coordinator", "--coordinator-url"],
  [405, "is not an Agent Coordinator", "--coordinator-url"],
  [422, "refuses to register this runner", undefined],
])("Registration: a %i at the first registration is a UserError with a hint", async (status, words, hint) => {
  await using coordinator = server(() => Response.json({ detail: "no" }, { status }));
  const fault = await faultOf(registrationAt(coordinator).registration.register(forever()));
  expect(fault.message).toContain(words);
  if (hint === undefined) expect(fault.hint).toBeUndefined();
  else expect(fault.hint).toContain(hint);
  expect(coordinator.received).toHaveLength(1);
});

test("Registration: reuses the registration of an earlier process", async () => {
  await using coordinator = server(({ url }) =>
    url === "/runner/register"
      ? Response.json({ ...DUPLICATE, detail: { ...DUPLICATE.detail, capabilities: ["capacity"] } }, { status: 409 })
      : Response.json({ runners: [] }),
  );
  const { registration, lines } = registrationAt(coordinator);
  await registration.register(forever());
  expect(registration).toMatchObject({ runnerId: "lnch_old", takesCapacity: true, isRegistered: true });
  expect(pathsOf(coordinator)).toEqual(["/runner/register", "/runner/heartbeat", "/runners"]);
  expect(lines).toEqual(["[INFO] test: Reusing the registration lnch_old of an earlier process"]);
});

/** A coordinator that knows `lnch_old` with the tag `old`, until that is deregistered. */
function knowsOldTags(runs: readonly object[]): StubServer {
  let isKnown = true;
  return server(({ method, url }) => {
    if (method === "DELETE") isKnown = false;
    if (url === "/runner/register")
      return isKnown ? Response.json(DUPLICATE, { status: 409 }) : Response.json({ ...ANSWER, runner_id: "lnch_old" });
    if (url === "/runners") return Response.json({ runners: [{ runner_id: "lnch_old", tags: ["old", "linux"] }] });
    return Response.json(url.startsWith("/runs") ? { runs } : { ok: true });
  });
}

const RUN = { run_id: "run_1", session_id: "ses_1", type: "start_session", prompt: "p", runner_id: "lnch_old" };

test("Registration: registers again with new tags instead of reusing a registration with other tags", async () => {
  await using coordinator = knowsOldTags([
    { ...RUN, status: "completed" },
    { ...RUN, run_id: "run_2", runner_id: "lnch_other", status: "running" },
  ]);
  const { registration } = registrationAt(coordinator, { tags: ["new"] });
  await registration.register(forever());
  expect(pathsOf(coordinator).slice(-2)).toEqual(["/runners/lnch_old?self=true", "/runner/register"]);
  expect(JSON.parse(coordinator.received.at(-1)?.body ?? "")).toMatchObject({ tags: ["new"] });
  expect(registration).toMatchObject({ runnerId: "lnch_old", isRegistered: true, isReused: true });
});

test("Registration: reuses a registration with other tags while a run is in flight", async () => {
  await using coordinator = knowsOldTags([{ ...RUN, status: "running" }]);
  const { registration, lines } = registrationAt(coordinator, { tags: [] });
  await registration.register(forever());
  expect(coordinator.received.filter(({ method }) => method === "DELETE")).toEqual([]);
  expect(lines.at(-1)).toMatch(/WARNING.*keeps other tags for this runner \(old, linux\) while it has runs/);
});

test("Registration: ignores the order of the tags", async () => {
  await using coordinator = knowsOldTags([]);
  await registrationAt(coordinator, { tags: ["linux", "old"] }).registration.register(forever());
  expect(pathsOf(coordinator)).toEqual(["/runner/register", "/runner/heartbeat", "/runners"]);
});

test("Registration: registers again if the registration was removed between the two calls", async () => {
  let count = 0;
  await using coordinator = server(({ url }) => {
    if (url === "/runner/heartbeat") return Response.json({ detail: "Runner not registered" }, { status: 401 });
    return ++count === 1 ? Response.json(DUPLICATE, { status: 409 }) : Response.json(ANSWER);
  });
  const { registration } = registrationAt(coordinator);
  await registration.register(forever());
  expect(registration.runnerId).toBe("lnch_1");
});

test("Registration: does not reuse another machine's registration", async () => {
  const other = { detail: { ...DUPLICATE.detail, hostname: "other-host" } };
  await using coordinator = server(() => Response.json(other, { status: 409 }));
  expect((await faultOf(registrationAt(coordinator).registration.register(forever()))).message).toContain(
    "already there",
  );
  expect(pathsOf(coordinator)).toEqual(["/runner/register"]);
});

test("Registration.renew: concurrent callers share one attempt, a later caller makes another", async () => {
  await using coordinator = server();
  const { registration, lines } = registrationAt(coordinator);
  await registration.register(forever());
  let calls = 0;
  registration.onRenewed = () => void calls++;
  await Promise.all([registration.renew(), registration.renew(), registration.renew()]);
  expect(calls).toBe(1);
  expect(coordinator.received).toHaveLength(2);
  await registration.renew();
  expect(coordinator.received).toHaveLength(3);
  expect(lines).toEqual(Array(2).fill("[INFO] test: Registered again as lnch_1"));
});

test("Registration.renew: logs a new id with the one before", async () => {
  let count = 0;
  await using coordinator = server(() => Response.json({ runner_id: `lnch_${++count}` }));
  const { registration, lines } = registrationAt(coordinator);
  await registration.register(forever());
  await registration.renew();
  expect([registration.runnerId, lines[0]]).toEqual([
    "lnch_2",
    "[INFO] test: Registered again as lnch_2 (before: lnch_1)",
  ]);
});

test("Registration.renew: never rejects", async () => {
  const statuses = [503, 403];
  await using coordinator = server(() => new Response("", { status: statuses.shift() ?? 500 }));
  const { registration, lines, link } = registrationAt(coordinator);
  await registration.renew();
  expect(link.isDown).toBe(true);
  await registration.renew();
  expect(lines.at(-1)).toContain("refuses to register this runner");
});

test("Registration: does not reuse the identity of another live runner on this machine", async () => {
  await using coordinator = server(() => Response.json(DUPLICATE, { status: 409 }));
  const { registration } = registrationAt(coordinator, { isAlone: false });
  const fault = await faultOf(registration.register(forever()));
  expect(fault.message).toContain("A runner with this host name, project directory and executor is online");
  expect(pathsOf(coordinator)).toEqual(["/runner/register"]);
});

const LIVE = { detail: { ...DUPLICATE.detail, is_live: true } };

test("Registration: waits for another live instance to leave, and warns once", async () => {
  let count = 0;
  await using coordinator = server(() => (++count <= 3 ? Response.json(LIVE, { status: 409 }) : Response.json(ANSWER)));
  const { registration, lines } = registrationAt(coordinator);
  await registration.register(forever());
  expect(registration.runnerId).toBe("lnch_1");
  // It never takes the other's id.
  expect(pathsOf(coordinator)).toEqual(Array(4).fill("/runner/register"));
  expect(lines).toEqual([
    "[WARNING] test: Another runner of this host name, project directory and executor is online: " +
      "waiting up to 45 s for it to leave",
  ]);
});

test("Registration: names its earlier instances", async () => {
  await using coordinator = server();
  await registrationAt(coordinator, { supersedes: ["instance-0"] }).registration.register(forever());
  expect(JSON.parse(coordinator.received[0]?.body ?? "")).toMatchObject({
    instance_id: "instance-1",
    supersedes: ["instance-0"],
  });
});

test("Registration.renew: is superseded once another instance is alive, and calls nothing any more", async () => {
  let isTaken = false;
  await using coordinator = server(() => (isTaken ? Response.json(LIVE, { status: 409 }) : Response.json(ANSWER)));
  let count = 0;
  const { registration } = registrationAt(coordinator, { onSuperseded: () => void count++ });
  await registration.register(forever());
  isTaken = true;
  await registration.renew();
  await registration.renew();
  await registration.close();
  expect([count, registration.isRegistered, coordinator.received.length]).toEqual([1, false, 2]);
});
