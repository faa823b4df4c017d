import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { OUTSIDE } from "../../src/gateway/grant.ts";
import { outsideFolder } from "../../src/gateway/project-bounds.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { gatewayFixture } from "./gateway-fixture.ts";

test("outsideFolder: compares folders, not spellings", () => {
  using folder = tempFolder();
  const runners = join(folder.path, "runners");
  const own = join(runners, "own");
  for (const path of [join(own, "sub"), `${own}-not`, join(folder.path, "secret")])
    mkdirSync(path, { recursive: true });
  symlinkSync(join(folder.path, "secret"), join(own, "link"));
  symlinkSync(own, join(folder.path, "to-own"));
  const bounds = { projectDir: runners, childrenAnywhere: false, maxAttempts: 1 };
  const grant = { runId: "run_1", projectDir: own };
  for (const inside of [own, `${own}/`, join(own, "sub"), "own/sub", join(own, "new"), join(folder.path, "to-own/sub")])
    expect([inside, outsideFolder(inside, grant, bounds)]).toEqual([inside, null]);
  for (const named of [
    runners,
    "/",
    "sub",
    `${own}-not`,
    join(own, ".."),
    join(own, "sub/../../../secret"),
    join(own, "link"),
    join(own, "link/deeper"),
    "own/../..",
    "~",
  ])
    expect([named, outsideFolder(named, grant, bounds)]).toEqual([named, expect.stringContaining("outside of")]);
  expect(outsideFolder("/", grant, { ...bounds, childrenAnywhere: true })).toBeNull();
  expect(outsideFolder("/", { ...grant, runId: OUTSIDE }, bounds)).toBeNull();
  // Without a folder of its own, a run has the runner's.
  expect(outsideFolder(own, { runId: "run_1", projectDir: null }, bounds)).toBeNull();
  expect(outsideFolder(folder.path, { runId: "run_1", projectDir: null }, bounds)).toContain(runners);
});

test("gateway: a folder outside is refused in a new run, its demands, a bind and the metadata", async () => {
  await using g = gatewayFixture();
  const run = { type: "start_session", prompt: "p" };
  for (const [method, path, body] of [
    ["POST", "/runs", { ...run, project_dir: "/etc" }],
    ["POST", "/runs", { ...run, additional_demands: { project_dir: "/etc" } }],
    ["POST", "/runs", { type: "resume_session", session_id: "child", prompt: "p", project_dir: "/p/../etc" }],
    ["POST", "/sessions/own/bind", { executor_session_id: "e", project_dir: "/etc" }],
    ["POST", "/bind", { session_id: "own", executor_session_id: "e", project_dir: "/etc" }],
    ["PATCH", "/sessions/own/metadata", { project_dir: "/etc" }],
    ["PATCH", "/metadata", { session_id: "own", project_dir: "/etc" }],
  ] as const) {
    const { status, body: answer } = await g.call(method, path, body);
    expect([path, status, answer]).toEqual([
      path,
      403,
      { detail: expect.stringContaining("limits.children_anywhere") },
    ]);
  }
  expect(g.forwarded()).toEqual([]);
});

test("gateway: a child gets the folder that its parent was submitted with, and the mark of its creator", async () => {
  await using g = gatewayFixture();
  g.grant.projectDir = "/p/own";
  const mark = { "x-creation-limits": "{}" };
  await g.call("POST", "/runs", { type: "start_session", prompt: "p" }, mark);
  await g.call("POST", "/runs", { type: "resume_session", session_id: "child", prompt: "p" });
  const [start, resume] = g.forwarded().filter(({ method }) => method === "POST");
  expect(JSON.parse(start?.body ?? "")).toMatchObject({ project_dir: "/p/own" });
  expect(JSON.parse(resume?.body ?? "")).not.toHaveProperty("project_dir");
  expect(JSON.parse(start?.headers.get("x-creation-limits") ?? "")).toEqual({
    tree: { maxDepth: 0, maxChildren: 0, maxTreeRuns: 0 },
    run: { runId: "run_own", maxAttempts: 1, anywhere: false },
  });
});
