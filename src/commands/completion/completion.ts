import { executorNames } from "../../catalog/find-executor.ts";
import { loadConfig } from "../../config/load-config.ts";
import { ExitCode } from "../../errors.ts";
import { version } from "../../version.ts";
import { bashCompletion } from "./bash-completion.ts";
import { oneOf, textArg } from "../command-line/arguments.ts";
import type { Command, CommandArgs, CommandContext } from "../command-line/command.ts";
import type { CommandModel } from "./command-model.ts";
import { clientOf } from "../wiring/connect.ts";
import { fishCompletion } from "./fish-completion.ts";
import { manPage } from "./man-page.ts";
import { commonOptions, coordinatorOptions } from "../command-line/options.ts";
import { catalogOptions } from "../wiring/resolve-executor.ts";
import { zshCompletion } from "./zsh-completion.ts";

const MAX_RUNS = 50;
const KINDS = ["bash", "zsh", "fish", "man", "executors", "runs"] as const;

/** Built from the same table as `--help`. `models` returns the root command first. */
export function completionCommand(models: () => Promise<CommandModel[]>): Command {
  return {
    name: "completion",
    description: "Prints completions for a shell, or the manual page.",
    args: {
      what: { type: "positional", description: "bash, zsh, fish or man; executors or runs for a list of names" },
      ...coordinatorOptions,
      ...commonOptions,
    },
    notes: ["The completions of a shell call this command for the names of executors and runs."],
    examples: [
      ["agent-runner completion bash > ~/.local/share/bash-completion/completions/agent-runner", "Install for bash"],
      ["agent-runner completion zsh > ~/.zfunc/_agent-runner", "Install for zsh, with ~/.zfunc on the fpath"],
      ["agent-runner completion fish > ~/.config/fish/completions/agent-runner.fish", "Install for fish"],
      ["agent-runner completion man > ~/.local/share/man/man1/agent-runner.1", "Install the manual page"],
    ],
    async run(args, context) {
      const kind = oneOf("WHAT", textArg(args, "what") ?? "", KINDS);
      const text = await textOf(kind, models, args, context);
      if (text !== "") context.print(text);
      return ExitCode.ok;
    },
  };
}

async function textOf(
  kind: (typeof KINDS)[number],
  models: () => Promise<CommandModel[]>,
  args: CommandArgs,
  context: CommandContext,
): Promise<string> {
  switch (kind) {
    case "bash":
      return bashCompletion(await models()).trimEnd();
    case "zsh":
      return zshCompletion(await models()).trimEnd();
    case "fish":
      return fishCompletion(await models()).trimEnd();
    case "man":
      return manPage(await models(), version).trimEnd();
    case "executors":
      return wordsOf(executorNames(catalogOptions(loadConfig(args, context.env), context.env)));
    case "runs":
      return wordsOf((await clientOf(loadConfig(args, context.env)).runs()).slice(-MAX_RUNS).map((run) => run.run_id));
  }
}

/** One name per line. bash expands the words of a completion, so a name such as `$(command)` would be executed. */
function wordsOf(names: readonly string[]): string {
  return names.filter((name) => /^[\w.@:+-]+$/.test(name)).join("\n");
}
