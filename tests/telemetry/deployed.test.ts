import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ProgramMetrics } from "../../src/telemetry/program-metrics.ts";
import { NO_COUNTS } from "./no-counts.ts";

/*
 * The files in deploy/ query metrics by name. A name that the program does not serve means an empty panel, or an
 * alert that never fires.
 */

const DEPLOY = join(import.meta.dir, "../../deploy");
const promtool = Bun.which("promtool");

async function servedNames(): Promise<Set<string>> {
  const metrics = new ProgramMetrics(
    { labels: { command: "up", executor: "" }, startedAtMs: 0 },
    { runner: () => null, coordinator: { counts: async () => NO_COUNTS } },
  );
  const text = await (await metrics.answer()).text();
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    types.flatMap(([, name = "", type]) =>
      type === "histogram" ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    ),
  );
}

function namesIn(text: string): string[] {
  return [...new Set(text.match(/\b(?:agent_runner|agent_coordinator|process)_[a-z_]+/g))];
}

test.each(["prometheus/alerts.yml", "grafana/agent-runner.json"])(
  "deploy/%s queries only metrics that the program serves",
  async (file) => {
    const names = namesIn(readFileSync(join(DEPLOY, file), "utf8"));
    const served = await servedNames();
    expect(names.length).toBeGreaterThan(5);
    expect(names.filter((name) => !served.has(name))).toEqual([]);
  },
);

interface Dashboard {
  readonly templating: { readonly list: readonly { readonly name: string }[] };
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly type: string;
    readonly gridPos: Record<"x" | "y" | "w" | "h", number>;
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

test("deploy/grafana: every panel has a query and its own place, and uses only known variables", async () => {
  const { templating, panels } = (await Bun.file(join(DEPLOY, "grafana/agent-runner.json")).json()) as Dashboard;
  const known = new Set([...templating.list.map(({ name }) => name), "__rate_interval"]);
  const used = [...JSON.stringify(panels).matchAll(/\$\{?(\w+)/g)].map(([, name = ""]) => name);
  expect(used.filter((name) => !known.has(name))).toEqual([]);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24).map(({ title }) => title)).toEqual([]);
  expect(panels.filter(({ targets }) => targets.length === 0).map(({ title }) => title)).toEqual([]);
});

test.skipIf(promtool === null).each([
  ["check", "config", "prometheus.yml"],
  ["check", "rules", "alerts.yml"],
  ["test", "rules", "alerts.test.yml"],
])("deploy/prometheus: promtool %s %s %s", async (verb, what, file) => {
  const child = Bun.spawn([promtool ?? "", verb, what, file], {
    cwd: join(DEPLOY, "prometheus"),
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
  expect({ output, code: await child.exited }).toEqual({ output, code: 0 });
});
