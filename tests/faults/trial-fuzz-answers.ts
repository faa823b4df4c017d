import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { CoordinatorClient } from "../../src/client/coordinator-client.ts";
import { noAuthorization } from "../harness/authorization.ts";
import { CoordinatorFailure } from "../../src/client/failure.ts";
import { describeError } from "../../src/errors.ts";
import { Semaphore } from "../../src/async/semaphore.ts";
import { AT_ONCE_MS } from "../harness/until.ts";
import { mutateBytes, mutateValue } from "./mutate.ts";
import { RequestReader } from "./request-reader.ts";
import { SeededRandom } from "./seeded-random.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

const CONCURRENCY = 16;
const HANG_MS = 5_000;
const MAX_MESSAGE_LENGTH = 1_000;
const RUN = {
  run_id: "run_0123456789ab",
  type: "start_session",
  session_id: "ses_0123456789ab",
  prompt: "p",
  agent_name: "a",
  project_dir: "/p",
  parent_session_id: null,
  execution_mode: "sync",
  demands: null,
  status: "claimed",
  runner_id: "lnch_1",
  error: null,
};
const SECOND_GENERATION_RUN = {
  ...RUN,
  parameters: { prompt: "p" },
  scope: null,
  resolved_agent_blueprint: { name: "a", mcp_servers: { m: { url: "http://x", config: {} } } },
};

type Call = (client: CoordinatorClient) => Promise<unknown>;

const poll: Call = (client) => client.poll("lnch_1", { stopsOnly: false, signal: AbortSignal.timeout(HANG_MS) });

/** The calls of a runner, each with a valid answer. */
const EXCHANGES: readonly [[unknown, Call], ...[unknown, Call][]] = [
  [{ run: RUN }, poll],
  [{ run: SECOND_GENERATION_RUN }, poll],
  [{ stop_runs: ["run_1"] }, poll],
  [{ stop_sessions: ["ses_1"] }, poll],
  [{ deregistered: true }, poll],
  [{ ok: true }, (client) => client.report("lnch_1", "run_1", { verb: "completed" })],
  [{ ok: true }, (client) => client.heartbeat("lnch_1", { claimedRunIds: ["run_1"], held: [] })],
  [
    { runner_id: "lnch_1", poll_endpoint: "/runner/runs", poll_timeout_seconds: 30, heartbeat_interval_seconds: 60 },
    (client) => client.register({ hostname: "h" }),
  ],
  [RUN, (client) => client.run("run_1")],
  [{ runs: [RUN, SECOND_GENERATION_RUN] }, (client) => client.runs()],
  [{ session: { session_id: "ses_1", status: "running", agent_name: null } }, (client) => client.session("ses_1")],
  [SECOND_GENERATION_RUN.resolved_agent_blueprint, (client) => client.agent("a")],
  [{ ok: true }, (client) => client.sendEvent({ event_type: "session_stop", session_id: "ses_1", timestamp: "t" })],
];

/**
 * Sends malformed answers to the calls of a runner. Each call must soon return a value, or reject with a clear
 * CoordinatorFailure. `lost` counts the calls that did neither.
 */
export async function fuzzAnswers(options: { readonly count: number; readonly seed: number }): Promise<Verdict> {
  const random = new SeededRandom(options.seed);
  const slots = new Semaphore(CONCURRENCY);
  const tryOne = (): Promise<string[]> => {
    const [valid, call] = random.pick(EXCHANGES);
    const answer = malformed(random, valid);
    return slots.hold(() => attempt(call, answer));
  };
  const complaints = (await Promise.all(Array.from({ length: options.count }, tryOne))).flat();
  return verdictOf(options.count, { lost: complaints });
}

/** The bytes of a malformed answer, headers included. */
function malformed(random: SeededRandom, valid: unknown): Buffer {
  const body = random.chance(0.6)
    ? Buffer.from(JSON.stringify(mutateValue(random, valid)) ?? "")
    : mutateBytes(random, JSON.stringify(valid));
  const status = random.chance(0.7)
    ? 200
    : random.pick([201, 204, 302, 400, 401, 404, 409, 418, 422, 429, 500, 502, 503, 599]);
  const length = random.chance(0.85) ? body.length : random.pick([0, 1, body.length + 7, -1]);
  const type = random.pick(["application/json", "text/html", "application/octet-stream", "\u00ff"]);
  const head = random.chance(0.95)
    ? `HTTP/1.1 ${status} X\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`
    : "HTTP/9.9 hello\r\n\r\n";
  return Buffer.concat([Buffer.from(head, "latin1"), body]);
}

async function attempt(call: Call, answer: Buffer): Promise<string[]> {
  const server = await serve(answer);
  const client = new CoordinatorClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, noAuthorization);
  const shown = answer.toString("latin1", 0, 300);
  try {
    const hang = Bun.sleep(HANG_MS + AT_ONCE_MS).then(() => Promise.reject(new Error("it hangs")));
    await Promise.race([call(client), hang]);
    return [];
  } catch (error) {
    const isClear =
      error instanceof CoordinatorFailure && error.message.length > 10 && error.message.length < MAX_MESSAGE_LENGTH;
    return isClear ? [] : [`${describeError(error).slice(0, 300)}, after ${JSON.stringify(shown)}`];
  } finally {
    server.close();
  }
}

/** Answers every request with these bytes, and closes the connection. */
async function serve(answer: Buffer): Promise<Server> {
  const answerOne = async (socket: Socket): Promise<void> => {
    socket.on("error", () => {});
    if ((await new RequestReader(socket).next()) !== null) socket.end(answer);
  };
  const server = createServer((socket) => void answerOne(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
