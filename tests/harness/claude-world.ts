import { afterAll, beforeAll } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { claudeCodeForTests } from "../../scripts/claude-code.ts";
import { MessagesApi } from "../fakes/messages-api/messages-api.ts";
import type { StartedBinary } from "./binary.ts";
import { CoordinatorApi } from "./coordinator-api.ts";
import { type StartInWorld, World } from "./world.ts";

/** Claude Code takes a second of computing to start, and as many of them as a file has tests may start together on a machine that is busy. */
export const CLAUDE_TEST_TIMEOUT_MS = 300_000;
/** Of one run of it. */
export const RUN_MS = 120_000;

/** The key that Claude Code is given here: it must be found nowhere but in requests to the provider. */
export const API_KEY = "sk-ant-api03-only-for-tests";

/**
 * A world in which the programs find the real Claude Code on their PATH, and it finds a stand-in where its provider would be. Nothing of it
 * needs a network, and all that it writes stays in the world's folders.
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

  static async open(): Promise<ClaudeWorld> {
    const claude = await claudeCodeForTests();
    return new ClaudeWorld(await MessagesApi.start(), claude);
  }

  override start(args: readonly string[], { env = {}, ...more }: StartInWorld = {}): StartedBinary {
    return super.start(args, { env: { ...this.#env, ...env }, ...more });
  }

  /** Coordinator and runner in one process, with the executor for Claude Code. */
  async up(
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ api: CoordinatorApi; process: StartedBinary }> {
    const process = this.start(["up", "--port", "0", "-x", "claude-code", ...args], { env });
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
  /** What the program has logged so far. */
  readonly log: () => string;
}

/** One world with coordinator and runner in it for all tests of a file, as a start of them costs seconds. Its tests take names of their own. */
export function sharedClaudeWorld(
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): SharedClaudeWorld {
  let world: ClaudeWorld | undefined;
  let up: Awaited<ReturnType<ClaudeWorld["up"]>> | undefined;
  const opened = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error("the world is there while tests run only");
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
