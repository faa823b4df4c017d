import { PAGES, readPage } from "./pages.ts";

export interface ShellBlock {
  readonly page: string;
  readonly script: string;
}

interface Exception {
  readonly page: string;
  /** The beginning of the block's script. */
  readonly begins: string;
  readonly reason: string;
}

const RELEASE = "downloads a release; tests/scripts/install.test.ts makes one and installs it";
const SERVICE = "changes the machine; scripts/machine-trial.sh runs it on a machine of its own";
const MODEL = "costs money; tests/e2e-claude runs the same with a development model";

/** The shell blocks that no test runs. tests/e2e/documented-commands.test.ts runs every other one unchanged. */
export const NOT_RUN: readonly Exception[] = [
  { page: "README.md", begins: "curl ", reason: RELEASE },
  { page: "README.md", begins: "npm start", reason: "the gate is one of these commands" },
  { page: "README.md", begins: "claude auth login", reason: MODEL },
  { page: "CONTRIBUTING.md", begins: "git clone", reason: "the gate is one of these commands" },
  { page: "docs/commands.md", begins: "agent-runner ", reason: "waits for a coordinator until it is interrupted" },
  { page: "docs/examples/orchestrator/README.md", begins: "agent-runner agents add", reason: MODEL },
  { page: "docs/getting-started.md", begins: "curl ", reason: RELEASE },
  { page: "docs/getting-started.md", begins: "claude auth login", reason: MODEL },
  { page: "docs/getting-started.md", begins: "mkdir -p ~/try", reason: MODEL },
  { page: "docs/getting-started.md", begins: "agent-runner submit", reason: MODEL },
  { page: "docs/getting-started.md", begins: "agent-runner service install --up -p", reason: SERVICE },
  { page: "docs/operating.md", begins: "agent-runner service install", reason: SERVICE },
  { page: "docs/operating.md", begins: "curl ", reason: RELEASE },
  { page: "docs/performance.md", begins: "bun run bench", reason: "takes minutes; .github/workflows/ci.yml measures" },
  { page: "docs/reliability.md", begins: "bun run faults", reason: "takes an hour; the gate runs the short form" },
];

export const SHELL_BLOCKS: readonly ShellBlock[] = PAGES.flatMap((page) =>
  shellScripts(readPage(page)).map((script) => ({ page, script })),
);

export function isRun(block: ShellBlock): boolean {
  return !NOT_RUN.some((exception) => isAbout(exception, block));
}

export function isAbout({ page, begins }: Exception, block: ShellBlock): boolean {
  return block.page === page && block.script.startsWith(begins);
}

export function shellScripts(text: string): string[] {
  return [...text.matchAll(/^```(?:sh|bash)\n([\s\S]*?)^```/gm)].map(([, script = ""]) => script);
}
