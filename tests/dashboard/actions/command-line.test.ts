import { expect, test } from "bun:test";
import { commandLine } from "../../../src/dashboard/actions/command-line.ts";

test.each([
  [{ prompt: "Hello" }, "agent-runner submit -- Hello"],
  [{ prompt: "It's -- new\nline" }, "agent-runner submit -- 'It'\\''s -- new\nline'"],
  [
    { prompt: "x", agent: "", projectDir: "/a b", tags: ["gpu", "a;b"] },
    "agent-runner submit --project-dir '/a b' --tag gpu --tag 'a;b' -- x",
  ],
  [{ prompt: "go on", session: "ses_1", agent: "re" }, "agent-runner submit --session ses_1 --agent re -- 'go on'"],
])("commandLine(%j)", (submission, line) => {
  expect(commandLine(submission)).toBe(line);
});

test("commandLine: a shell passes the prompt on unchanged", () => {
  const prompt = "a'b\"c$HOME `id` \\ !x *\n-end";
  const { stdout } = Bun.spawnSync([
    "sh",
    "-c",
    commandLine({ prompt }).replace("agent-runner submit --", "printf %s"),
  ]);
  expect(stdout.toString()).toBe(prompt);
});
