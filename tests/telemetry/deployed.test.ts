import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RunnerMetrics } from "../../src/telemetry/runner-metrics.ts";

/* What lies in deploy/ asks for metrics by name: a name that the program does not have would be an empty panel, or an alert that never comes. */

const DEPLOY = join(import.meta.dir, "../../deploy");
const promtool = Bun.which("promtool");

async function servedNames(): Promise<Set<string>> {
  const text = await new RunnerMetrics({ status: () => null, labels: { command: "runner", executor: "" }, startedAtMs: 0 }).text();
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(types.flatMap(([, name = "", type]) => (type === "histogram" ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name])));
}

function namesIn(text: string): string[] {
  return [...new Set(text.match(/\b(?:agent_runner|process)_[a-z_]+/g))];
}

test.each(["prometheus/alerts.yml", "grafana/agent-runner.json"])("deploy/%s asks only for metrics that there are", async (file) => {
  const names = namesIn(readFileSync(join(DEPLOY, file), "utf8"));
  const served = await servedNames();
  expect(names.length).toBeGreaterThan(5);
  expect(names.filter((name) => !served.has(name))).toEqual([]);
});

test.skipIf(promtool === null).each([
  ["check", "config", "prometheus.yml"],
  ["test", "rules", "alerts.test.yml"],
])("deploy/prometheus: promtool %s %s %s", async (verb, what, file) => {
  const child = Bun.spawn([promtool ?? "", verb, what, file], { cwd: join(DEPLOY, "prometheus"), stdout: "pipe", stderr: "pipe" });
  const said = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
  expect({ said, code: await child.exited }).toEqual({ said, code: 0 });
});

test("deploy/kubernetes: a stop has more time than the drain takes, the probes ask what there is, and nothing runs as root", () => {
  const [service, set] = Bun.YAML.parse(readFileSync(join(DEPLOY, "kubernetes/agent-runner.yaml"), "utf8")) as Record<string, never>[];
  expect(service).toMatchObject({ apiVersion: "v1", kind: "Service" });
  expect(set).toMatchObject({
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    spec: { template: { spec: { terminationGracePeriodSeconds: 90, securityContext: { runAsNonRoot: true } } } },
  });
  const text = JSON.stringify(set);
  expect(text).toContain('"RUNNER_DRAIN_TIMEOUT","value":"60s"');
  for (const path of ["/healthz", "/readyz"]) expect(text).toContain(`"path":"${path}"`);
});
