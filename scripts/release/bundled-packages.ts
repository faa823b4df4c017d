import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A package whose code may be in the binary. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** The license in its package.json: an SPDX expression, or words. */
  readonly license: string;
  /** The text of its license file; null without one. */
  readonly licenseText: string | null;
  readonly homepage: string | null;
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly homepage?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/**
 * All direct and indirect dependencies of package.json, sorted by name. The bundler drops some of them; a notice too
 * many does no harm. Throws for a package that is not installed.
 */
export function bundledPackages(root: string): BundledPackage[] {
  const found = new Map<string, BundledPackage>();
  const visit = (name: string, from: string): void => {
    const folder = folderOf(name, from, root);
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
    const key = `${manifest.name}@${manifest.version}`;
    if (found.has(key)) return;
    found.set(key, {
      name: manifest.name,
      version: manifest.version,
      license: manifest.license ?? "not stated",
      licenseText: licenseTextIn(folder),
      homepage: manifest.homepage ?? null,
    });
    for (const dependency of Object.keys(manifest.dependencies ?? {})) visit(dependency, folder);
    // Skips optional peers: if one is installed, another package needs it, mostly for its types.
    for (const peer of Object.keys(manifest.peerDependencies ?? {}))
      if (manifest.peerDependenciesMeta?.[peer]?.optional !== true) visit(peer, folder);
  };
  const { dependencies = {} } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
  for (const name of Object.keys(dependencies)) visit(name, root);
  return [...found.values()].sort((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1));
}

function folderOf(name: string, from: string, root: string): string {
  const candidates = [join(from, "node_modules", name), join(root, "node_modules", name)];
  const folder = candidates.find((path) => existsSync(join(path, "package.json")));
  if (folder === undefined) throw new Error(`${name} is not installed: bun install --frozen-lockfile`);
  return folder;
}

function licenseTextIn(folder: string): string | null {
  const file = readdirSync(folder).find((name) => /^licen[cs]e(?:\.|-|$)/i.test(name));
  return file === undefined ? null : readFileSync(join(folder, file), "utf8").trim();
}
