import { isAbsolute, relative, sep } from "node:path";
import { howToRaise } from "../protocol/creation-limits.ts";
import { absolutePath, identityOfPath } from "../paths.ts";
import { type Grant, OUTSIDE } from "./grant.ts";

/** What bounds the runs that a run creates, besides the limits of the tree. */
export interface ChildBounds {
  /** The runner's folder: the base of relative ones, and that of a run without its own. */
  readonly projectDir: string;
  /** Lets a run name any project folder and any runner for what it creates. */
  readonly childrenAnywhere: boolean;
  /** Attempts that a run may always allow; it may allow as many as it has itself. */
  readonly maxAttempts: number;
}

/**
 * The message that refuses a project folder outside of the run's own; null if it lies inside, or if the run names none.
 * Follows links.
 */
export function outsideFolder(
  named: unknown,
  grant: Pick<Grant, "projectDir" | "runId">,
  { projectDir, childrenAnywhere }: ChildBounds,
): string | null {
  if (typeof named !== "string" || named === "" || childrenAnywhere || grant.runId === OUTSIDE) return null;
  const own = absolutePath(grant.projectDir ?? projectDir, projectDir);
  const inside = relative(identityOfPath(own), identityOfPath(absolutePath(named, projectDir)));
  if (inside !== ".." && !inside.startsWith(`..${sep}`) && !isAbsolute(inside)) return null;
  return (
    `The project folder ${named} is outside of ${own}, the folder of this run. ` +
    `${howToRaise("RUNNER_CHILDREN_ANYWHERE", "limits.children_anywhere")}.`
  );
}
