import { expect } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { place } from "../../catalog/executor-folder.ts";
import type { Scenario, Step } from "../../fakes/claude-program/step.ts";
import { invocation20, type StartedExecutor } from "../start-executor.ts";
import { assistantText, init, result } from "./claude-messages.ts";
import { ClaudePlace } from "./claude-place.ts";

const PROGRAM = join(import.meta.dir, "../../fakes/claude-program/main.ts");
export const answers = (text: string): Step[] => [{ say: init() }, { say: assistantText(text) }, { say: result(text) }];

export interface Played extends AsyncDisposable {
  readonly at: ClaudePlace;
  readonly executor: StartedExecutor;
  /** What the fake program received, line by line. */
  received(): Record<string, unknown>[];
}

/** Runs the executor with a fake Claude Code. */
export async function play(
  scenario: Omit<Scenario, "log">,
  env: Readonly<Record<string, string>> = {},
  invocation: object = invocation20("Go."),
): Promise<Played> {
  const at = await ClaudePlace.open([]);
  const [log, file] = [join(at.folder, "stdin.jsonl"), join(at.folder, "scenario.json")];
  writeFileSync(file, JSON.stringify({ ...scenario, log }));
  const claude = place(at.folder, "claude", `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
  const executor = await at.start(invocation, {
    CLAUDE_CODE_PATH: claude,
    FAKE_CLAUDE: file,
    ...env,
  });
  const received = (): Record<string, unknown>[] => {
    // The last piece is empty, or a line that is still being written.
    const lines = existsSync(log) ? readFileSync(log, "utf8").split("\n").slice(0, -1) : [];
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { at, executor, received, [Symbol.asyncDispose]: () => at[Symbol.asyncDispose]() };
}

export const endingIn = ({ at }: Played): Record<string, unknown> | undefined => at.events("ending")[0];

export async function expectSuccess(played: Played, text: string): Promise<void> {
  const { executor } = played;
  expect({ exit: await executor.ended, stderr: executor.stderr() }).toEqual({ exit: 0, stderr: "" });
  expect(executor.stdout()).toBe(`${text}\n`);
}

export async function expectFailure(played: Played, kind: string, reason: RegExp, exit = 1): Promise<void> {
  const { executor } = played;
  expect({ exit: await executor.ended, stderr: executor.stderr() }).toEqual({
    exit,
    stderr: expect.stringMatching(reason),
  });
  expect(endingIn(played)).toMatchObject({ reason: kind });
}
