import { join } from "node:path";
import { type FakeApi, fakeApi } from "../executor-kit/fake-api.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { type StartedExecutor, startExecutor } from "./start-executor.ts";

export const FILE = join(import.meta.dir, "../../executors/test-executor/ao-test-exec.ts");
export const SESSION = "ses_000000000001";

export interface Place extends Disposable {
  readonly folder: string;
  readonly api: FakeApi;
}

/** A working folder and an API for one test. */
export function place(answer?: Parameters<typeof fakeApi>[0]): Place {
  const folder = tempFolder();
  const api = fakeApi(answer);
  return {
    folder: folder.path,
    api,
    [Symbol.dispose]() {
      api[Symbol.dispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** Starts the test executor. */
export function start({ folder, api }: Place, invocation: unknown, env: Record<string, string> = {}): StartedExecutor {
  return startExecutor([process.execPath, FILE], { folder, apiUrl: api.url, invocation, env });
}
