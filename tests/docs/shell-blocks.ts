export interface ShellBlock {
  readonly script: string;
  /** The HTML comment above the block, which no reader sees; empty without one. */
  readonly mark: string;
}

/** The shell blocks of a page. */
export function shellBlocks(page: string): ShellBlock[] {
  return [...page.matchAll(/(?:<!-- (.*?) -->\n+)?```(?:sh|bash)\n([\s\S]*?)```/g)].map(
    ([, mark = "", script = ""]) => ({ script, mark }),
  );
}

/** `<!-- run -->` above a block: a test runs the block unchanged. */
export function isRun({ mark }: ShellBlock): boolean {
  return mark === "run";
}

/** `<!-- not run: REASON -->`. */
export function reasonNotToRun({ mark }: ShellBlock): string | null {
  return /^not run: (.+)$/.exec(mark)?.[1] ?? null;
}
