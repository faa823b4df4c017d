import type { BundledPackage } from "./bundled-packages.ts";

/** The text of THIRD-PARTY-NOTICES.md. */
export function thirdPartyNotices(packages: readonly BundledPackage[], bunVersion: string): string {
  const sections = packages.map(({ name, version, license, licenseText, homepage }) =>
    [
      `## ${name} ${version}`,
      "",
      `License: ${license}${homepage === null ? "" : ` (${homepage})`}`,
      "",
      licenseText === null ? "The package has no license file." : `\`\`\`text\n${licenseText}\n\`\`\``,
    ].join("\n"),
  );
  return `# Third-party notices

agent-runner is one file that contains the Bun runtime and the packages below.

## Bun ${bunVersion}

The runtime is MIT-licensed. It links JavaScriptCore (LGPL-2.1) and other libraries. Its license file lists them with
their licenses: https://github.com/oven-sh/bun/blob/bun-v${bunVersion}/LICENSE.md

${sections.join("\n\n")}
`;
}
