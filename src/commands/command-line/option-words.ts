import type { ArgsDef } from "citty";
import { absolutePath } from "../../paths.ts";
import type { CommandArgs } from "./command.ts";

/** Options with a path, made absolute: the words are used in another current folder. */
const PATHS: ReadonlySet<string> = new Set([
  "agents-dir",
  "config",
  "executor-path",
  "executors-dir",
  "project-dir",
  "state-dir",
]);

/** The given options as words of a command line, in the order of `--help`. */
export function optionWords(options: ArgsDef, given: CommandArgs): string[] {
  return Object.keys(options).flatMap((option) => {
    const value = given[option];
    if (value === undefined) return [];
    if (typeof value === "boolean") return [value ? `--${option}` : `--no-${option}`];
    const isPath = PATHS.has(option) && (option !== "executor-path" || value.includes("/"));
    return [`--${option}`, isPath ? absolutePath(value, process.cwd()) : value];
  });
}
