import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bashCompletion } from "../../src/commands/completion/bash-completion.ts";
import { allCommandModels } from "../../src/commands/command-table.ts";
import { fishCompletion } from "../../src/commands/completion/fish-completion.ts";
import { manPage } from "../../src/commands/completion/man-page.ts";
import { zshCompletion } from "../../src/commands/completion/zsh-completion.ts";
import type { ArchiveEntry } from "./archive-entry.ts";
import type { BundledPackage } from "./bundled-packages.ts";
import { thirdPartyNotices } from "./notices.ts";

export interface TextsOptions {
  readonly root: string;
  readonly version: string;
  readonly bunVersion: string;
  readonly packages: readonly BundledPackage[];
}

/** The text files beside the program in each archive. */
export async function textEntries({ root, version, bunVersion, packages }: TextsOptions): Promise<ArchiveEntry[]> {
  const models = await allCommandModels();
  const texts: Readonly<Record<string, string>> = {
    "README.md": readFileSync(join(root, "README.md"), "utf8"),
    "CHANGELOG.md": readFileSync(join(root, "CHANGELOG.md"), "utf8"),
    LICENSE: readFileSync(join(root, "LICENSE"), "utf8"),
    "THIRD-PARTY-NOTICES.md": thirdPartyNotices(packages, bunVersion),
    "completions/agent-runner.bash": bashCompletion(models),
    "completions/_agent-runner": zshCompletion(models),
    "completions/agent-runner.fish": fishCompletion(models),
    "man/agent-runner.1": manPage(models, version),
  };
  return Object.entries(texts).map(([path, text]) => ({ path, content: Buffer.from(text), isExecutable: false }));
}
