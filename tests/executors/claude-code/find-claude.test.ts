import { describe, expect, test } from "bun:test";
import { homedir } from "node:os";
import { join, relative } from "node:path";
import { findClaude, probeLogin, probeVersion } from "../../../executors/claude-code/find-claude.ts";
import { checkNeeds } from "../../../executors/claude-code/readiness.ts";
import { place } from "../../catalog/executor-folder.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

const PROGRAM = process.platform === "win32" ? "claude.exe" : "claude";
const env = { PATH: process.env["PATH"] };

/** A script that answers like Claude Code. */
function fakeClaude(folder: string, version: string, loggedIn = "true"): string {
  const script = `#!/bin/sh
case "$1" in --version) echo "${version}" ;; auth) echo '{ "loggedIn": ${loggedIn} }' ;; esac
`;
  return place(folder, PROGRAM, script);
}

describe("findClaude", () => {
  test("prefers the setting to PATH", () => {
    using at = tempFolder();
    const onPath = place(at.path, `bin/${PROGRAM}`);
    const mine = place(at.path, "mine/my-claude");
    expect(findClaude(mine, { PATH: join(at.path, "bin") })).toEqual({ ok: true, path: mine, from: "the setting" });
    expect(findClaude("my-claude", { PATH: join(at.path, "mine") })).toEqual({
      ok: true,
      path: mine,
      from: "the setting",
    });
    expect(findClaude("~/mine/my-claude", { HOME: at.path })).toEqual({ ok: true, path: mine, from: "the setting" });
    expect(findClaude(undefined, { PATH: join(at.path, "bin") })).toEqual({ ok: true, path: onPath, from: "PATH" });
  });

  test("takes the first executable file on PATH, and none from a relative folder", () => {
    using at = tempFolder();
    place(at.path, `closed/${PROGRAM}`, "#!/bin/sh\n", 0o644);
    const second = place(at.path, `second/${PROGRAM}`);
    const here = relative(process.cwd(), join(at.path, "second"));
    expect(
      findClaude(undefined, { PATH: [here, join(at.path, "closed"), join(at.path, "second")].join(":") }),
    ).toMatchObject({ path: second });
    expect(findClaude(PROGRAM, { PATH: here })).toMatchObject({ ok: false });
  });

  test.each([
    ["/no/such/claude", "no Claude Code at /no/such/claude: it does not exist"],
    [homedir(), `no Claude Code at ${homedir()}: it is not a file`],
    ["bin/claude", "the path of Claude Code, bin/claude, is not absolute"],
    ["no-such-claude", "Claude Code not found: no-such-claude is not on PATH"],
  ])("names the fault of the setting %s, with a hint", (setting, reason) => {
    const found = findClaude(setting, env);
    expect(found).toMatchObject({ ok: false, reason });
    expect("hint" in found && found.hint).toMatch(/CLAUDE_CODE_PATH|start it with/);
  });

  test("takes a file without execute permission only if it is JavaScript", () => {
    using at = tempFolder();
    const script = place(at.path, "cli.js", "", 0o644);
    expect(findClaude(script, {})).toMatchObject({ ok: true, path: script });
    if (process.getuid?.() === 0) return;
    expect(findClaude(place(at.path, "closed", "", 0o644), {})).toMatchObject({
      ok: false,
      reason: expect.stringContaining("is not executable"),
    });
  });
});

describe.skipIf(process.platform === "win32")("probeVersion and probeLogin", () => {
  test.each(["2.1.327 (Claude Code)", "2.1.330", "2.2.0", "3.0.0"])("%s is new enough", (line) => {
    using at = tempFolder();
    expect(probeVersion(fakeClaude(at.path, line), env)).toEqual({ ok: true, version: line.split(" ")[0] as string });
  });

  test.each(["2.1.326 (Claude Code)", "1.9.999"])("%s is too old, with the reason", (line) => {
    using at = tempFolder();
    const probed = probeVersion(fakeClaude(at.path, line), env);
    expect(probed).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/is too old: 2\.1\.327 is required, because .*command line/),
      hint: "update it: claude update",
    });
  });

  test("a program that prints no version is a fault", () => {
    using at = tempFolder();
    const path = place(at.path, PROGRAM, "#!/bin/sh\necho broken >&2; exit 3\n");
    expect(probeVersion(path, env)).toMatchObject({ ok: false, reason: `${path} prints no version: broken` });
    expect(probeVersion(join(at.path, "gone"), env)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("ENOENT"),
    });
  });

  test.each([
    ["true", true],
    ["false", false],
    ["maybe", null],
  ])("loggedIn %s", (value, expected) => {
    using at = tempFolder();
    expect(probeLogin(fakeClaude(at.path, "2.1.330", value), env)).toBe(expected);
  });
});

describe.skipIf(process.platform === "win32")("checkNeeds", () => {
  test("names the Claude Code", () => {
    using at = tempFolder();
    const path = fakeClaude(at.path, "2.1.330 (Claude Code)");
    const checked = checkNeeds({ path }, { ...env, IS_SANDBOX: "1" });
    expect(checked).toEqual({ ok: true, note: `Claude Code 2.1.330 at ${path} (the setting)` });
  });

  test.skipIf(process.getuid?.() !== 0)("explains permissions as root", () => {
    using at = tempFolder();
    const note = (permission_mode: string): unknown => {
      const checked = checkNeeds({ path: fakeClaude(at.path, "2.1.330"), permission_mode }, env);
      return checked.ok && checked.note;
    };
    expect(note("bypassPermissions")).toContain("it may not bypass permissions as root");
    expect(note("dontAsk")).not.toContain("root");
  });

  test("reports bad settings, a missing Claude Code, and a missing login", () => {
    using at = tempFolder();
    expect(checkNeeds({ max_turns: 0, x: 1 }, env)).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/^bad settings: x: .*; max_turns: must/),
    });
    expect(checkNeeds({ path: "/no/claude" }, env)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("/no/claude"),
    });
    expect(checkNeeds({ path: fakeClaude(at.path, "2.1.330", "false") }, env)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("is not logged in"),
      hint: "claude auth login, or set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN",
    });
  });
});
