// An executor built on the kit, for tests. The prompt selects its behavior.
import { delay } from "../../src/async/delay.ts";
import { runExecutor } from "../../src/executor-kit/run-executor.ts";
import { writeStderr, writeStdout } from "../../src/executor-kit/write-output.ts";

const ended = runExecutor({
  name: "fixture",
  usage: "usage of the fixture\n",
  argv: process.argv.slice(2),
  env: process.env,
  lingerMs: Number(process.env["FIXTURE_LINGER_MS"] ?? 0),
  async execute({ invocation, session, signal }) {
    if (invocation.prompt === "throw") throw new Error("first line\n  second line");
    await session.bind({ executor_session_id: "x" });
    await writeStdout("bound\n");
    if (invocation.prompt === "wait") await delay(60_000, signal);
    if (invocation.prompt === "send after stop") {
      await delay(60_000, signal);
      await session.message("assistant", "after stop");
    }
    signal.throwIfAborted();
    return 7;
  },
});
// The signal handlers are in place by now: runExecutor installs them before its first wait.
await writeStderr("listening\n");
process.exitCode = await ended;
