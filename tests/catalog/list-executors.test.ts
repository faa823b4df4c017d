import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { listExecutors } from "../../src/catalog/list-executors.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { optionsFor, place } from "./executor-folder.ts";

const ok = { ok: true } as const;

test("listExecutors sorts by name, the winner of a name first, and names what shadows the others", () => {
  using at = tempFolder();
  const folders = [join(at.path, "a"), join(at.path, "absent"), join(at.path, "b")];
  const zed = place(at.path, "b/zed/ao-z-exec");
  const mine = place(at.path, "a/test-executor/ao-test-exec");
  const hidden = place(at.path, "b/test-executor/ao-test-exec");
  place(at.path, "b/no-executor/README.md");
  place(at.path, "b/.hidden/ao-h-exec");
  expect(listExecutors(optionsFor(at.path, { folders })).filter(({ name }) => name !== "claude-code")).toEqual([
    { name: "test-executor", origin: "folder", path: mine, readiness: ok, shadowedBy: null },
    { name: "test-executor", origin: "folder", path: hidden, readiness: ok, shadowedBy: mine },
    { name: "test-executor", origin: "built-in", path: null, readiness: ok, shadowedBy: mine },
    { name: "zed", origin: "folder", path: zed, readiness: ok, shadowedBy: null },
  ]);
});

test("listExecutors has a hint for an executor that is not ready and for a folder with two", () => {
  using at = tempFolder();
  place(at.path, "executors/closed/ao-c-exec", "#!/bin/sh\n", 0o644);
  place(at.path, "executors/two/ao-a-exec");
  place(at.path, "executors/two/ao-b-exec");
  const [claude, closed, builtIn, two] = listExecutors(optionsFor(at.path));
  const reason = `no Claude Code at ${join(at.path, "no-claude")}: it does not exist`;
  expect(claude).toMatchObject({ name: "claude-code", origin: "built-in", readiness: { ok: false, reason } });
  expect(closed).toMatchObject({ name: "closed", readiness: { ok: false, hint: expect.stringContaining("chmod +x") } });
  expect(builtIn).toMatchObject({ name: "test-executor", readiness: ok });
  expect(two).toMatchObject({
    name: "two",
    path: join(at.path, "executors/two"),
    readiness: {
      ok: false,
      reason: expect.stringContaining("has 2 executors"),
      hint: expect.stringContaining("leave one"),
    },
  });
});

test("listExecutors writes nothing", () => {
  using at = tempFolder();
  place(at.path, "executors/x/ao-x-exec.ts", "", 0o644);
  const options = optionsFor(at.path);
  expect(listExecutors(options).find(({ name }) => name === "x")?.readiness).toEqual(ok);
  expect(existsSync(options.stateDir)).toBe(false);
});
