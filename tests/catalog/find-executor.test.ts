import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { findExecutorByName, findExecutorByPath } from "../../src/catalog/find-executor.ts";
import { UserError } from "../../src/errors.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { optionsFor, place } from "./executor-folder.ts";

function errorOf(work: () => unknown): UserError {
  try {
    work();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("findExecutorByName", () => {
  test("finds the file in the folder of that name", () => {
    using at = tempFolder();
    const path = place(at.path, "executors/mine/ao-anything-exec.sh");
    expect(findExecutorByName("mine", optionsFor(at.path))).toEqual({
      name: "mine",
      origin: "folder",
      path,
      command: [path],
      env: {},
    });
  });

  test("prefers the first folder, and a folder over the built-in one", () => {
    using at = tempFolder();
    const options = optionsFor(at.path, { folders: [join(at.path, "absent"), join(at.path, "a"), join(at.path, "b")] });
    expect(findExecutorByName("test-executor", options).origin).toBe("built-in");
    const later = place(at.path, "b/test-executor/ao-test-exec");
    expect(findExecutorByName("test-executor", options).path).toBe(later);
    const earlier = place(at.path, "a/test-executor/ao-test-exec");
    expect(findExecutorByName("test-executor", options).path).toBe(earlier);
  });

  test("skips a folder of that name without an executor", () => {
    using at = tempFolder();
    place(at.path, "executors/test-executor/README.md");
    expect(findExecutorByName("test-executor", optionsFor(at.path)).origin).toBe("built-in");
  });

  test("starts this program for a built-in executor", () => {
    using at = tempFolder();
    expect(findExecutorByName("test-executor", optionsFor(at.path, { selfCommand: ["/x/bun", "/x/main.ts"] }))).toEqual(
      {
        name: "test-executor",
        origin: "built-in",
        path: null,
        command: ["/x/bun", "/x/main.ts", "exec-builtin", "test-executor"],
        env: { AGENT_EXECUTOR_STATE_DIR: join(at.path, "state", "test-executor") },
      },
    );
  });

  test.each(["ao-x-exec~", "ao-x-exec.swp", "ao-x-exec.json", "ao-x-exec.md", "ao-exec", "xao-x-exec", ".ao-x-exec"])(
    "does not count %s as an executor",
    (file) => {
      using at = tempFolder();
      place(at.path, `executors/x/${file}`);
      expect(() => findExecutorByName("x", optionsFor(at.path))).toThrow('There is no executor "x"');
    },
  );

  test("ignores folders and follows links", () => {
    using at = tempFolder();
    mkdirSync(join(at.path, "executors/x/ao-dir-exec"), { recursive: true });
    symlinkSync(place(at.path, "elsewhere/ao-real-exec"), join(at.path, "executors/x/ao-link-exec"));
    symlinkSync(join(at.path, "nowhere"), join(at.path, "executors/x/ao-broken-exec"));
    expect(findExecutorByName("x", optionsFor(at.path)).path).toBe(join(at.path, "executors/x/ao-link-exec"));
  });

  test("names the places, the known executors and the nearest one if there is none", () => {
    using at = tempFolder();
    place(at.path, "executors/researcher/ao-r-exec");
    const error = errorOf(() => findExecutorByName("reseacher", optionsFor(at.path)));
    expect(error.message).toContain('There is no executor "reseacher"');
    expect(error.message).toContain(join(at.path, "executors"));
    expect(error.hint).toBe("Did you mean researcher? There are: claude-code, researcher, test-executor");
  });

  test("suggests no distant name", () => {
    using at = tempFolder();
    expect(errorOf(() => findExecutorByName("gemini", optionsFor(at.path))).hint).toBe(
      "There are: claude-code, test-executor",
    );
  });

  test("refuses a folder with two executors", () => {
    using at = tempFolder();
    place(at.path, "executors/x/ao-a-exec");
    place(at.path, "executors/x/ao-b-exec.py");
    const error = errorOf(() => findExecutorByName("x", optionsFor(at.path)));
    expect(error.message).toBe(`${join(at.path, "executors/x")} has 2 executors: ao-a-exec, ao-b-exec.py`);
    expect(error.hint).toContain("leave one");
  });

  test("never treats a name as a path", () => {
    using at = tempFolder();
    place(at.path, "outside/ao-x-exec");
    for (const name of ["../outside", "./x", "", ".", "__proto__"]) {
      expect(() => findExecutorByName(name, optionsFor(at.path))).toThrow("There is no executor");
    }
  });
});

describe("findExecutorByPath", () => {
  test("resolves a relative path from the binary's folder, and names the executor after the file's folder", () => {
    using at = tempFolder();
    const path = place(at.path, "executors/mine/ao-m-exec");
    expect(findExecutorByPath("executors/mine/ao-m-exec", optionsFor(at.path))).toMatchObject({
      name: "mine",
      origin: "path",
      path,
    });
  });

  test("accepts an absolute path to any file", () => {
    using at = tempFolder();
    const path = place(at.path, "tools/agent");
    expect(findExecutorByPath(path, optionsFor("/nowhere"))).toMatchObject({ name: "tools", path });
  });

  test.each([
    "executors/test-executor/ao-test-exec",
    "./executors/test-executor/ao-test-exec.ts",
    "executors\\test-executor\\ao-test-exec",
  ])("finds the built-in executor for %s without a file", (path) => {
    using at = tempFolder();
    expect(findExecutorByPath(path, optionsFor(at.path))).toMatchObject({ name: "test-executor", origin: "built-in" });
  });

  test("finds the built-in claude-code for the Python runner's default path", () => {
    using at = tempFolder();
    const executor = findExecutorByPath("executors/claude-code/ao-claude-code-exec", optionsFor(at.path));
    expect(executor).toMatchObject({ name: "claude-code", origin: "built-in" });
  });

  test("prefers the file itself if there is one", () => {
    using at = tempFolder();
    const path = place(at.path, "executors/test-executor/ao-test-exec");
    expect(findExecutorByPath("executors/test-executor/ao-test-exec", optionsFor(at.path))).toMatchObject({
      origin: "path",
      path,
    });
  });

  test("names the path and the known executors if there is nothing", () => {
    using at = tempFolder();
    const error = errorOf(() => findExecutorByPath("executors/gemini/ao-gemini-exec", optionsFor(at.path)));
    expect(error.message).toBe(`There is no executor at ${join(at.path, "executors/gemini/ao-gemini-exec")}`);
    expect(error.hint).toContain(at.path);
    expect(error.hint).toContain("test-executor");
  });

  test("names an executor without a folder `unknown`", () => {
    // The root folder is the only existing path without a parent.
    expect(findExecutorByPath("/", optionsFor("/nowhere")).name).toBe("unknown");
  });
});
