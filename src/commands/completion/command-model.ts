import type { ArgDef } from "citty";
import type { Command } from "../command-line/command.ts";

/** How a shell completes the value of an option. */
export type ValueKind = "file" | "folder" | "executor" | "text" | readonly string[];

export interface OptionModel {
  readonly long: string;
  readonly short: string | null;
  /** Null for a switch. */
  readonly value: { readonly hint: string; readonly kind: ValueKind } | null;
  readonly description: string;
}

/** One command as completions and the manual page show it. The root command has the name "". */
export interface CommandModel {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly options: readonly OptionModel[];
  readonly positionals: readonly {
    readonly name: string;
    readonly description: string;
    readonly kind: ValueKind | "run";
  }[];
  readonly notes: readonly string[];
  readonly examples: Command["examples"];
}

/** Positionals that a shell can complete, by command and name. */
const POSITIONALS: Readonly<Record<string, ValueKind | "run">> = {
  "stop id": "run",
  "logs id": "run",
  "agents action": ["list", "show", "add", "rm"],
  "service action": ["install", "uninstall", "status", "logs"],
  "completion what": ["bash", "zsh", "fish", "man"],
};

export function commandModel(command: Command, summary: string): CommandModel {
  const args = Object.entries(command.args);
  return {
    name: command.name,
    summary,
    description: command.description,
    options: args.flatMap(([name, arg]) => (arg.type === "positional" ? [] : [optionModel(name, arg)])),
    positionals: args.flatMap(([name, arg]) =>
      arg.type === "positional"
        ? [{ name, description: arg.description ?? "", kind: POSITIONALS[`${command.name} ${name}`] ?? "text" }]
        : [],
    ),
    notes: command.notes ?? [],
    examples: command.examples,
  };
}

function optionModel(name: string, arg: ArgDef): OptionModel {
  const hint = arg.type === "boolean" ? null : (arg.valueHint ?? "VALUE");
  return {
    long: `--${name}`,
    short: "alias" in arg && typeof arg.alias === "string" ? `-${arg.alias}` : null,
    value: hint === null ? null : { hint, kind: kindOf(name, hint) },
    description: arg.description ?? "",
  };
}

function kindOf(name: string, hint: string): ValueKind {
  if (name === "executor") return "executor";
  if (hint === "FILE" || hint === "PATH") return "file";
  if (hint === "DIR") return "folder";
  return hint.includes("|") ? hint.split("|") : "text";
}
