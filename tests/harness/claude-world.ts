import { afterAll, beforeAll } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { claudeCodeForTests } from "../../scripts/claude-code.ts";
import { MessagesApi } from "../fakes/messages-api/messages-api.ts";
import type { StartedBinary } from "./binary.ts";
import { CoordinatorApi } from "./coordinator-api.ts";
import { type StartInWorld, World } from "./world.ts";

/** Claude Code needs a second of processor time to start, and all tests of a file may start one at the same time. */
export const CLAUDE_TEST_TIMEOUT_MS = 300_000;
/** For one run of Claude Code. */
export const RUN_MS = 120_000;

/** The API key for Claude Code, which must appear only in requests to the provider. */
export const API_KEY = "sk-ant-api03-only-for-tests";

/**
 * A world in which programs find the real Claude Code on their PATH, and Claude Code finds a fake provider. Needs no
 * network, and writes only to the world's folders.
 */
export class ClaudeWorld extends World {
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    readonly provider: MessagesApi,
    claude: string,
  ) {
    super();
    const [bin, temporary] = [join(this.home, "bin"), join(this.home, "tmp")];
    for (const folder of [bin, temporary]) mkdirSync(folder);
    symlinkSync(claude, join(bin, "claude"));
    this.#env = {
      PATH: `${bin}:${process.env["PATH"] ?? ""}`,
      ANTHROPIC_BASE_URL: provider.url,
      ANTHROPIC_API_KEY: API_KEY,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      CLAUDE_CODE_TMPDIR: temporary,
    };
  }

  /** For `run`, which starts no agent. */
  get claudeEnv(): Readonly<Record<string, string>> {
    return this.#env;
  }

  static async open(): Promise<ClaudeWorld> {
    const claude = await claudeCodeForTests();
    return new ClaudeWorld(await MessagesApi.start(), claude);
  }

  override start(args: readonly string[], { env = {}, ...more }: StartInWorld = {}): StartedBinary {
    return super.start(args, { env: { ...this.#env, ...env }, ...more });
  }

  /** Starts coordinator and runner in one process, with the Claude Code executor. */
  async up(
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ api: CoordinatorApi; process: StartedBinary }> {
    const process = this.start(["up", "--no-token", "--port", "0", "-x", "claude-code", ...args], { env });
    const [, url = ""] = await process.line(/Connecting to Agent Coordinator at (\S+)/, RUN_MS);
    return { api: new CoordinatorApi(url), process };
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    try {
      await super[Symbol.asyncDispose]();
    } finally {
      await this.provider[Symbol.asyncDispose]();
    }
  }
}

export interface SharedClaudeWorld {
  readonly world: ClaudeWorld;
  readonly provider: MessagesApi;
  readonly api: CoordinatorApi;
  /** The program's log so far. */
  readonly log: () => string;
}

/**
 * One world with coordinator and runner for all tests of a file, because their start takes seconds. Each test uses
 * its own names.
 */
export function sharedClaudeWorld(
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): SharedClaudeWorld {
  let world: ClaudeWorld | undefined;
  let up: Awaited<ReturnType<ClaudeWorld["up"]>> | undefined;
  const opened = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error("the world exists only while tests run");
    return value;
  };
  beforeAll(async () => {
    world = await ClaudeWorld.open();
    up = await world.up(args, env);
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
  });
  return {
    get world() {
      return opened(world);
    },
    get provider() {
      return opened(world).provider;
    },
    get api() {
      return opened(up).api;
    },
    log: () => opened(up).process.stdout(),
  };
}
