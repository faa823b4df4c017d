import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { textEntries } from "../../scripts/release/text-entries.ts";
import { SETTINGS } from "../../src/config/settings.ts";

/* No container is built here: what the files rely on is looked up where it comes from. */

const root = join(import.meta.dir, "../..");
const DEPLOY = join(root, "deploy");
const dockerfile = readFileSync(join(DEPLOY, "Dockerfile"), "utf8").replaceAll("\\\n", " ");
const manifest = readFileSync(join(DEPLOY, "kubernetes/agent-runner.yaml"), "utf8");

const instructions = (name: string): string[] =>
  [...dockerfile.matchAll(new RegExp(`^${name} (.+)$`, "gm"))].map(([, rest = ""]) => rest.trim());

test("deploy/Dockerfile: copies only files of an unpacked archive", async () => {
  const archive = await textEntries({ root, version: "1.2.3", bunVersion: "1.4.5", packages: [] });
  const there = new Set(["agent-runner", ...archive.map(({ path }) => path)]);
  const copied = instructions("COPY").flatMap((rest) => rest.split(/\s+/).slice(0, -1));
  expect(copied.length).toBeGreaterThan(1);
  expect(copied.filter((path) => !there.has(path))).toEqual([]);
});

test("deploy/Dockerfile: runs without root, under an init, and checks health at the port of the metrics", () => {
  expect(instructions("USER")).toEqual(["10001"]);
  expect(instructions("ENTRYPOINT")).toEqual(['["tini", "--", "agent-runner"]']);
  expect(instructions("HEALTHCHECK")[0]).toContain("http://127.0.0.1:9464/healthz");
  expect(instructions("ENV")[0]).toContain("RUNNER_METRICS=0.0.0.0:9464");
});

test("deploy: sets only variables of the program", () => {
  const known = new Set<string>(Object.values(SETTINGS).flatMap((setting) => ("env" in setting ? [setting.env] : [])));
  const set = [
    ...(instructions("ENV")[0] ?? "").matchAll(/(\w+)=/g),
    ...manifest.matchAll(/\{ name: ([A-Z_]+), value:/g),
  ].map(([, name = ""]) => name);
  expect(set.length).toBeGreaterThan(5);
  expect(set.filter((name) => !known.has(name))).toEqual([]);
});

test("deploy/kubernetes: a stop has more time than the drain, the probes exist, and nothing runs as root", () => {
  const [service, set] = Bun.YAML.parse(manifest) as Record<string, never>[];
  expect(service).toMatchObject({ apiVersion: "v1", kind: "Service" });
  expect(set).toMatchObject({
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    spec: { template: { spec: { terminationGracePeriodSeconds: 90, securityContext: { runAsNonRoot: true } } } },
  });
  const text = JSON.stringify(set);
  expect(text).toContain('"RUNNER_DRAIN_TIMEOUT","value":"60s"');
  for (const path of ["/healthz", "/readyz"]) expect(text).toContain(`"path":"${path}"`);
  expect(text).toContain(`"image":"agent-runner:${packageJson.version}"`);
});
