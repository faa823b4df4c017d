import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { checkParts, checkSources, type Sources } from "./architecture/check-sources.ts";
import { readLayers } from "./architecture/layers.ts";
import { OWNED } from "./architecture/owners.ts";

const root = join(import.meta.dir, "..");
const layers = readLayers(readFileSync(join(root, "ARCHITECTURE.md"), "utf8"));

function sourcesOfProject(): Sources {
  const files = new Bun.Glob("{src,executors}/**/*.{ts,tsx}").scanSync({ cwd: root });
  return Object.fromEntries(
    [...files].map((file) => [file.replaceAll("\\", "/"), readFileSync(join(root, file), "utf8")]),
  );
}

test("src and executors obey the layer list of ARCHITECTURE.md, and use no API that another part owns", () => {
  const sources = sourcesOfProject();
  expect(Object.keys(sources).length).toBeGreaterThan(10);
  expect(checkSources(sources, layers, OWNED)).toEqual([]);
});

test("the layer list of ARCHITECTURE.md names exactly the parts of src", () => {
  const parts = readdirSync(join(root, "src"), { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith("."))
    .map((entry) => (entry.isDirectory() ? `src/${entry.name}/` : `src/${entry.name}`));
  expect(checkParts(parts, layers)).toEqual([]);
});

test("no folder of src has more than 20 files beside each other", () => {
  const folders = new Map<string, number>();
  for (const file of new Bun.Glob("src/**/*").scanSync({ cwd: root })) {
    const folder = dirname(file);
    folders.set(folder, (folders.get(folder) ?? 0) + 1);
  }
  expect([...folders].filter(([, files]) => files > 20)).toEqual([]);
});

test("ARCHITECTURE.md names only files and folders that are there", () => {
  const text = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const paths = [...text.matchAll(/`((?:src|tests|executors|docs)\/[\w./-]+)`/g)].map(([, path = ""]) => path);
  expect(paths.length).toBeGreaterThan(30);
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  const files = [...text.matchAll(/`([\w-]+\.(?:ts|html))`/g)].map(([, name = ""]) => name);
  const known = new Set([...new Bun.Glob("src/**/*").scanSync({ cwd: root })].map((file) => basename(file)));
  expect(files.filter((name) => !known.has(name))).toEqual([]);
});

const LIST = [
  "1. `src/main.ts`: the top",
  "2. `src/commands/`: wiring",
  "3. `src/runner/` | `src/coordinator/`: peers; `src/bait/` is only mentioned",
  "4. `src/process/`: children",
  "5. `src/log.ts`: small",
  "",
  "`executors/<name>/` import `src/process/` and the last line only.",
  "",
  "- `src/runner/`: `*` > `upper/` > `left/` | `right/`",
].join("\n");
const made = readLayers(LIST);
const faults = (sources: Sources): string[] => checkSources(sources, made, OWNED);

test("readLayers reads lines, peers and what executors may import", () => {
  expect(made.lines[2]).toEqual(["src/runner/", "src/coordinator/"]);
  expect(made.forExecutors).toEqual(["src/process/", "src/log.ts"]);
  expect(() => readLayers("# Architecture\n")).toThrow("no layer list");
});

test("checkParts reports a folder that is not listed, and a listed folder that does not exist", () => {
  const parts = ["src/main.ts", "src/commands/", "src/runner/", "src/process/", "src/log.ts", "src/extra/"];
  expect(checkParts(parts, made)).toEqual([
    "src/extra/ is not in the layer list of ARCHITECTURE.md",
    "src/coordinator/ is in the layer list of ARCHITECTURE.md but does not exist",
  ]);
});

test.each([
  ["up", { "src/process/a.ts": 'import { x } from "../runner/b.ts";' }, "imports only point down"],
  ["up, a type", { "src/log.ts": 'import type { X } from "./process/b.ts";' }, "imports only point down"],
  [
    "up, over several lines",
    { "src/log.ts": 'import {\n  x,\n  y,\n} from "./process/b.ts";' },
    "imports only point down",
  ],
  ["up, re-exported", { "src/log.ts": 'export * from "./process/b.ts";' }, "imports only point down"],
  ["up, dynamic", { "src/log.ts": 'const a = await import("./process/b.ts");' }, "imports only point down"],
  ["up, for its effect", { "src/log.ts": 'import "./process/b.ts";' }, "imports only point down"],
  [
    "between peers",
    { "src/runner/a.ts": 'import { x } from "../coordinator/b.ts";' },
    "peers do not import each other",
  ],
  ["up between rooms", { "src/runner/left/a.ts": 'import { x } from "../upper/b.ts";' }, "rooms below"],
  ["up to the files beside the rooms", { "src/runner/left/a.ts": 'import { x } from "../b.ts";' }, "rooms below"],
  ["between rooms of a level", { "src/runner/left/a.ts": 'import { x } from "../right/b.ts";' }, "of one level"],
  ["from a room that is not listed", { "src/runner/new/a.ts": 'import { x } from "../left/b.ts";' }, "not in the list"],
  ["out of src", { "src/runner/a.ts": 'import { x } from "../../tests/b.ts";' }, "in no layer"],
  ["an executor from low down", { "src/runner/a.ts": 'import x from "../../executors/a/b.ts";' }, "know our executors"],
  [
    "the runner from an executor",
    { "executors/a/b.ts": 'import x from "../../src/runner/b.ts";' },
    "an executor imports",
  ],
  ["one executor from another", { "executors/a/b.ts": 'import x from "../c/d.ts";' }, "an executor imports"],
])("checkSources reports an import %s", (_, sources: Sources, expected) => {
  const found = faults(sources);
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(expected);
});

test.each([
  ["Bun.spawn", "const child = Bun.spawn(['x']);"],
  ["Bun.spawn", "await Bun.$`ls`;"],
  ["node:child_process", 'import { spawn } from "node:child_process";'],
  ["bun:ffi", 'import { dlopen } from "bun:ffi";'],
  ["bun:sqlite", 'import { Database } from "bun:sqlite";'],
  ["Bun.SQL", "const sql = new Bun.SQL(url);"],
  ["Bun.SQL", 'import { SQL } from "bun";'],
  ["consola", 'import { createConsola } from "consola/core";'],
  ["citty", 'import { defineCommand } from "citty";'],
  ["process.env", "const home = process.env.HOME;"],
  ["process.env", "const text = `${Bun.env.HOME}`;"],
  ["process.exit", "process.exit(1);"],
  ["stdout and stderr", "process.stdout.write(text);"],
  ["stdout and stderr", "const sink = Bun.stderr.writer();"],
  ["stdout and stderr", "console.log(text);"],
  ["stdout and stderr", "writeSync(1, text);"],
  ["draw", "context.draw(text);"],
  ["draw", "const { a } = { a: context.draw };"],
  ["ofetch", 'import { ofetch } from "ofetch";'],
  ["fetch", "const answer = await fetch(url, { method: 'GET' });"],
  ["fetch", "if (await fetch(url)) {}"],
])("checkSources reports %s outside its owner: %s", (what, code) => {
  const found = faults({ "src/async/a.ts": code });
  expect(found).toHaveLength(1);
  expect(found[0]).toStartWith(`src/async/a.ts uses ${what}, which belongs to `);
});

test("checkSources allows imports that point down, the owner's use of an API, and mere similar names", () => {
  const allowed = {
    "src/main.ts": 'import { run } from "./commands/run.ts";\nprocess.exit(0);',
    "src/commands/run.ts": 'const a = await import("../../executors/a/b.ts");\nimport { defineCommand } from "citty";',
    "src/runner/a.ts": [
      'import { b } from "./b.ts";\nimport { log } from "../log.ts";\nimport packageJson from "../../package.json";',
      "// process.exit(1) would lose the report; fetch(url) is not ours\n/* process.env */",
      'const text = "process.env is not read; see https://example.org";',
      "const server = { async fetch(request: Request): Promise<Response> { return answer(request); } };",
      "await this.#fetch(); await client.fetch(url);",
      "const program = `delete process.env.X; // the code of another program`;",
    ].join("\n"),
    "src/process/a.ts": "Bun.spawn(command);",
    "src/runner/upper/a.ts": 'import { x } from "../left/b.ts";',
    "executors/a/b.ts":
      'import { c } from "./c.ts";\nimport { log } from "../../src/log.ts";\nconst home = process.env.HOME;',
  };
  expect(faults(allowed)).toEqual([]);
});
