/** The fault of the version or of its section in the CHANGELOG that forbids a release; null without one. */
export function changelogFault(changelog: string, version: string): string | null {
  if (!/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/.test(version))
    return `${version} in package.json is not a Semantic Versioning version`;
  const heading = new RegExp(`^## \\[${version.replaceAll(".", "\\.")}\\] - \\d{4}-\\d{2}-\\d{2}$`, "m");
  const match = heading.exec(changelog);
  if (match === null) return `CHANGELOG.md has no section "## [${version}] - <date>"`;
  const section = changelog.slice(match.index + match[0].length).split(/^## /m)[0] ?? "";
  return section.trim() === "" ? `the section of ${version} in CHANGELOG.md is empty` : null;
}
