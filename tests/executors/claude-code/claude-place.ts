import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { claudeCodeForTests } from "../../../scripts/claude-code.ts";
import { randomHex12 } from "../../../src/protocol/identifiers.ts";
import type { Session } from "../../../src/protocol/session.ts";
import { type FakeApi, fakeApi } from "../../executor-kit/fake-api.ts";
import { inTurn, MessagesApi } from "../../fakes/messages-api/messages-api.ts";
import { type Reply, uses } from "../../fakes/messages-api/reply.ts";
import { isAlive, killProcess, processesWith } from "../../harness/processes.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { until } from "../../harness/until.ts";
import { type StartedExecutor, startExecutor } from "../start-executor.ts";

const FILE = join(import.meta.dir, "../../../executors/claude-code/ao-claude-code-exec.ts");
export const SESSION = "ses_000000000001";
/** Claude Code is some 400 MB, loaded from the disk. */
export const CLAUDE_TIMEOUT_MS = 300_000;
export const DEADLINE_MS = 120_000;

/** A folder, a session API and a provider for one test with the real Claude Code. Fails if the run has leftovers. */
export class ClaudePlace implements AsyncDisposable {
  readonly #folder = tempFolder();
  readonly #runId = `run_${randomHex12()}`;
  readonly #executors: StartedExecutor[] = [];
  readonly api: FakeApi;
  readonly provider: MessagesApi;
  /** The session as the API returns it. */
  session: Partial<Session> = {};

  /** `replies` are the agent's messages in order, whatever the prompt. */
  static async open(replies: readonly Reply[], answer?: Parameters<typeof fakeApi>[0]): Promise<ClaudePlace> {
    const provider = await MessagesApi.start();
    provider.conversation("", inTurn(...replies));
    return new ClaudePlace(provider, answer);
  }

  private constructor(provider: MessagesApi, answer: Parameters<typeof fakeApi>[0] = () => undefined) {
    this.provider = provider;
    this.api = fakeApi(async (call) => {
      const own = await answer(call);
      if (own !== undefined || call.method !== "GET") return own;
      return Response.json({ session: { session_id: SESSION, status: "running", ...this.session } });
    });
  }

  /** The project's folder. */
  get folder(): string {
    return this.#folder.path;
  }

  async start(invocation: object, env: Readonly<Record<string, string>> = {}): Promise<StartedExecutor> {
    const home = join(this.folder, "home");
    mkdirSync(home, { recursive: true });
    const started = startExecutor([process.execPath, FILE], {
      folder: this.folder,
      apiUrl: this.api.url,
      invocation,
      env: {
        // Makes Claude Code call only the fake provider, and ignore the user's own settings.
        HOME: home,
        CLAUDE_CONFIG_DIR: join(home, "claude"),
        CLAUDE_CODE_TMPDIR: home,
        ANTHROPIC_BASE_URL: this.provider.url,
        ANTHROPIC_API_KEY: "sk-made-up-key",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        CLAUDE_CODE_PATH: env["CLAUDE_CODE_PATH"] ?? (await claudeCodeForTests()),
        AGENT_RUN_ID: this.#runId,
        ...env,
      },
    });
    this.#executors.push(started);
    return started;
  }

  /** Waits until the API has received an event such as `pre_tool` or `message user`. */
  async received(event: string): Promise<void> {
    await until(
      () => `${event} among ${this.api.outline().join(", ")}`,
      () => this.api.outline().includes(event),
      DEADLINE_MS,
    );
  }

  /** The bodies of the events of one type. */
  events(type: string): Record<string, unknown>[] {
    return this.api.calls.map(({ body }) => body).filter((body) => body["event_type"] === type);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process, ended } of this.#executors) {
      if (isAlive(process.pid)) process.kill("SIGKILL");
      await ended;
    }
    try {
      await until(
        "the end of the run's processes",
        () => processesWith("AGENT_RUN_ID", this.#runId).length === 0,
        5_000,
      );
    } finally {
      for (const pid of processesWith("AGENT_RUN_ID", this.#runId)) killProcess(pid);
      this.api[Symbol.dispose]();
      this.#folder[Symbol.dispose]();
      await this.provider[Symbol.asyncDispose]();
    }
  }
}

export function bash(command: string, more: Readonly<Record<string, unknown>> = {}): Reply {
  return uses("Bash", { command, ...more });
}
