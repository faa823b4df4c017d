import { executorNames } from "../../catalog/find-executor.ts";
import { loadConfig } from "../../config/load-config.ts";
import { ExitCode, usageError } from "../../errors.ts";
import { version } from "../../version.ts";
import { bashCompletion } from "./bash-completion.ts";
import { type Command, type CommandArgs, type CommandContext, textArg } from "../command-line/command.ts";
import type { CommandModel } from "./command-model.ts";
import { connect } from "../wiring/connect.ts";
import { fishCompletion } from "./fish-completion.ts";
import { manPage } from "./man-page.ts";
import { commonOptions, coordinatorOptions } from "../command-line/options.ts";
import { catalogOptions } from "../wiring/resolve-executor.ts";
import { zshCompletion } from "./zsh-completion.ts";

const SHOWN_RUNS = 50;

/** Made from the same table as `--help`: `models` gives the root command first. */
export function completionCommand(models: () => Promise<CommandModel[]>): Command {
  const scripts: Readonly<Record<string, () => Promise<string>>> = {
    bash: async () => bashCompletion(await models()),
    zsh: async () => zshCompletion(await models()),
    fish: async () => fishCompletion(await models()),
    man: async () => manPage(await models(), version),
  };
  return {
    name: "completion",
    description:
      "Prints completions for a shell, or the manual page. (The completions themselves ask it for the names of executors and of runs.)",
    args: {
      what: { type: "positional", description: "bash, zsh, fish or man; executors or runs for their names" },
      ...coordinatorOptions,
      ...commonOptions,
    },
    examples: [
      ["agent-runner completion bash > ~/.local/share/bash-completion/completions/agent-runner", "for bash"],
      ["agent-runner completion zsh > ~/.zfunc/_agent-runner", "for zsh, with ~/.zfunc on the fpath"],
      ["agent-runner completion fish > ~/.config/fish/completions/agent-runner.fish", "for fish"],
      ["agent-runner completion man > ~/.local/share/man/man1/agent-runner.1", "the manual page"],
    ],
    async run(args, context) {
      const what = textArg(args, "what") ?? "";
      const script = scripts[what];
      if (script !== undefined) context.print((await script()).trimEnd());
      else if (what === "executors" || what === "runs") await printNames(what, args, context);
      else
        throw usageError(`There is no completion for ${what}`, "It is one of: bash, zsh, fish, man, executors, runs");
      return ExitCode.ok;
    },
  };
}

async function printNames(what: "executors" | "runs", args: CommandArgs, context: CommandContext): Promise<void> {
  const config = loadConfig(args, context.env);
  const names =
    what === "executors"
      ? executorNames(catalogOptions(config, context.env))
      : (await connect(config).runs()).slice(-SHOWN_RUNS).map((run) => run.run_id);
  if (names.length > 0) context.print(names.join("\n"));
}
