import type { BundledPackage } from "./bundled-packages.ts";

export interface SbomOptions {
  readonly version: string;
  readonly commit: string;
  readonly bunVersion: string;
  readonly mtimeSeconds: number;
  readonly packages: readonly BundledPackage[];
}

/** The contents of the binaries as CycloneDX 1.6 JSON. It has no serial number, so that two builds are the same. */
export function cycloneDx({ version, commit, bunVersion, mtimeSeconds, packages }: SbomOptions): string {
  const root = `agent-runner@${version}`;
  const components = [
    {
      type: "platform",
      "bom-ref": `bun@${bunVersion}`,
      name: "bun",
      version: bunVersion,
      purl: `pkg:npm/bun@${bunVersion}`,
      licenses: [{ license: { id: "MIT" } }],
    },
    ...packages.map((pkg) => ({
      type: "library",
      "bom-ref": `${pkg.name}@${pkg.version}`,
      name: pkg.name,
      version: pkg.version,
      purl: `pkg:npm/${pkg.name.replace("@", "%40")}@${pkg.version}`,
      licenses: [licenseOf(pkg.license)],
    })),
  ];
  const bom = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      timestamp: new Date(mtimeSeconds * 1000).toISOString(),
      component: {
        type: "application",
        "bom-ref": root,
        name: "agent-runner",
        version,
        licenses: [{ license: { id: "MIT" } }],
        properties: [{ name: "commit", value: commit }],
      },
    },
    components,
    dependencies: [{ ref: root, dependsOn: components.map((component) => component["bom-ref"]) }],
  };
  return `${JSON.stringify(bom, null, 2)}\n`;
}

function licenseOf(license: string): object {
  if (/^[\w.+-]+$/.test(license)) return { license: { id: license } };
  return / (?:OR|AND|WITH) /.test(license) ? { expression: license } : { license: { name: license } };
}
