import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { isRun, SHELL_BLOCKS } from "../docs/shell-blocks.ts";
import { BINARY } from "../harness/binary.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const blocks = SHELL_BLOCKS.filter(isRun).map(({ page, script }) => [page, script] as const);

test("there are blocks to run", () => {
  expect(blocks.length).toBeGreaterThan(3);
});

// Some blocks use job control (%1), as an interactive shell has it: hence -m.
test.skipIf(Bun.which("bash") === null || process.platform === "win32").each(blocks)(
  "%s: every command of the block ends with 0: %j",
  async (_, script) => {
    await using world = new World();
    const folder = join(world.home, "bin");
    mkdirSync(folder);
    symlinkSync(BINARY, join(folder, "agent-runner"));
    const env = {
      PATH: `${folder}:${process.env["PATH"] ?? ""}`,
      HOME: world.home,
      XDG_STATE_HOME: join(world.home, "state"),
      XDG_CONFIG_HOME: join(world.home, "config"),
      XDG_DATA_HOME: join(world.home, "data"),
    };
    const child = Bun.spawn(["bash", "--norc", "-mec", script], {
      cwd: world.projectDir,
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const output = (await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])).join("");
    expect({ output, code: await child.exited }).toEqual({ output, code: 0 });
  },
);
