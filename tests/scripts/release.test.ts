import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import packageJson from "../../package.json" with { type: "json" };
import { bundledPackages } from "../../scripts/release/bundled-packages.ts";
import { changelogFault } from "../../scripts/release/changelog.ts";
import { thirdPartyNotices } from "../../scripts/release/notices.ts";
import { cycloneDx } from "../../scripts/release/sbom.ts";
import { BINARY } from "../harness/binary.ts";

const root = join(import.meta.dir, "../..");

test.each([
  ["a section with a date", "## [1.2.3] - 2025-01-15\n\n- something\n\n## [1.2.2] - 2025-01-01\n", null],
  [
    "only another version",
    "## [1.2.30] - 2025-01-15\n\n- something\n",
    'CHANGELOG.md has no section "## [1.2.3] - <date>"',
  ],
  ["a section without a date", "## [1.2.3]\n\n- something\n", 'CHANGELOG.md has no section "## [1.2.3] - <date>"'],
  [
    "an empty section",
    "## [1.2.3] - 2025-01-15\n\n## [1.2.2] - 2025-01-01\n\n- old\n",
    "the section of 1.2.3 in CHANGELOG.md is empty",
  ],
])("changelogFault: %s", (_, changelog, fault) => {
  expect(changelogFault(changelog, "1.2.3")).toBe(fault);
});

test("changelogFault: a malformed version", () => {
  expect(changelogFault("", "1.2")).toContain("not a Semantic Versioning version");
});

test("bundledPackages: direct and indirect dependencies, each with a license, and no development tool", () => {
  const packages = bundledPackages(root);
  const names = packages.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining([...Object.keys(packageJson.dependencies), "tdigest"]));
  expect(names).not.toContain("typescript");
});

/** Licenses that let anybody pass the binary on under the MIT license, with a notice. */
const PERMISSIVE = new Set(["MIT", "ISC", "0BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0"]);

test("bundledPackages: each has a permissive license", () => {
  expect(bundledPackages(root).filter(({ license }) => !PERMISSIVE.has(license))).toEqual([]);
});

test("the bundle contains no package besides bundledPackages", async () => {
  const { metafile } = await Bun.build({ entrypoints: [join(root, "src/main.ts")], target: "bun", metafile: true });
  const names = Object.keys(metafile?.inputs ?? {}).flatMap((path) => packageOf(path) ?? []);
  expect(names).toContain("citty");
  const known = bundledPackages(root).map(({ name }) => name);
  expect([...new Set(names)].filter((name) => !known.includes(name))).toEqual([]);
});

test("the binary contains nothing of the Claude Agent SDK", async () => {
  const content = Buffer.from(await Bun.file(BINARY).arrayBuffer());
  expect(content.includes("stream-json")).toBe(true);
  expect(content.includes("claude-agent-sdk")).toBe(false);
});

function packageOf(path: string): string | undefined {
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
}

test("thirdPartyNotices and cycloneDx name every package with its version", () => {
  const packages = bundledPackages(root);
  const notices = thirdPartyNotices(packages, "1.4.5");
  const sbom = JSON.parse(
    cycloneDx({ version: "1.2.3", commit: "abc", bunVersion: "1.4.5", mtimeSeconds: 0, packages }),
  ) as { components: { name: string; version: string; purl: string }[] };
  for (const { name, version } of packages) {
    expect(notices).toContain(`## ${name} ${version}\n`);
    expect(sbom.components.find((component) => component.name === name)).toMatchObject({
      version,
      purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    });
  }
});

/** The published schema of CycloneDX 1.6 and its two references. */
function sbomSchema(): (bom: unknown) => string[] {
  const folder = join(
    dirname(fileURLToPath(import.meta.resolve("@cyclonedx/cyclonedx-library/package.json"))),
    "res/schema",
  );
  const read = (name: string): object => JSON.parse(readFileSync(join(folder, name), "utf8")) as object;
  const ajv = new Ajv({ strict: false, formats: { "idn-email": true, "iri-reference": true } });
  addFormats(ajv);
  for (const name of ["spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json"])
    ajv.addSchema(read(name), `http://cyclonedx.org/schema/${name}`);
  const validate = ajv.compile(read("bom-1.6.SNAPSHOT.schema.json"));
  return (bom) =>
    validate(bom) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

test("cycloneDx: the SBOM matches the schema of CycloneDX 1.6", () => {
  const faultsOf = sbomSchema();
  const bom = JSON.parse(
    cycloneDx({
      version: "1.2.3",
      commit: "abc",
      bunVersion: "1.4.5",
      mtimeSeconds: 0,
      packages: bundledPackages(root),
    }),
  ) as { components: object[] };
  expect(faultsOf(bom)).toEqual([]);
  expect(faultsOf({ ...bom, components: [...bom.components, { type: "nonsense", name: "x" }] })).not.toEqual([]);
});

test("CHANGELOG.md: the version of package.json can be released", () => {
  expect(changelogFault(readFileSync(join(root, "CHANGELOG.md"), "utf8"), packageJson.version)).toBeNull();
});
