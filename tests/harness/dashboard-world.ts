import { afterAll, beforeAll } from "bun:test";
import type { StartedBinary } from "./binary.ts";
import { CoordinatorApi } from "./coordinator-api.ts";
import { START_MS, World } from "./world.ts";

/** Starts coordinator and runner in one process (`up`), without a token, with the test executor. */
export async function upFor(
  world: World,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<{ api: CoordinatorApi; process: StartedBinary }> {
  const process = world.start(["up", "--no-token", "--port", "0", "-x", "test-executor", ...args], { env });
  const [, url = ""] = await process.line(/Connecting to Agent Coordinator at (\S+)/, START_MS);
  await process.line(/Runner started/, START_MS);
  return { api: new CoordinatorApi(url), process };
}

export interface SharedDashboard {
  readonly world: World;
  readonly api: CoordinatorApi;
}

/** One world with coordinator and runner for all tests of a file. Each test checks only what it created. */
export function sharedDashboard(args: readonly string[] = []): SharedDashboard {
  let world: World | undefined;
  let api: CoordinatorApi | undefined;
  const opened = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error("the world exists only while tests run");
    return value;
  };
  beforeAll(async () => {
    world = new World();
    ({ api } = await upFor(world, args));
  }, START_MS);
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
  }, START_MS);
  return {
    get world() {
      return opened(world);
    },
    get api() {
      return opened(api);
    },
  };
}

/** The address of a session's page. */
export function pageOf({ url }: CoordinatorApi, sessionId: string): string {
  return `${url}/#/session/${sessionId}`;
}
