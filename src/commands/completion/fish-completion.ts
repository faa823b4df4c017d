import type { CommandModel, ValueKind } from "./command-model.ts";

/** A script for fish: `agent-runner.fish` in its completions folder, or sourced. */
export function fishCompletion(commands: readonly CommandModel[]): string {
  const [root, ...others] = commands;
  const names = others.map(({ name }) => name);
  return `# Completion of agent-runner for fish. Made by: agent-runner completion fish
function __agent_runner_is --description 'whether the line has this command; without an argument: whether it has none'
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if contains -- $word ${names.join(" ")}
            test "$word" = "$argv[1]"
            return
        end
    end
    test -z "$argv[1]"
end

complete -c agent-runner -f
${others.map(commandLine).join("\n")}
${commands.map((command) => commandLines(command, command === root ? '""' : command.name)).join("\n")}
`;
}

function commandLine({ name, summary }: CommandModel): string {
  return `complete -c agent-runner -n '__agent_runner_is ""' -a ${name} -d ${quoted(summary)}`;
}

function commandLines({ options, positionals }: CommandModel, name: string): string {
  const condition = `-n '__agent_runner_is ${name}'`;
  const flags = options.map(({ long, short, value, description }) =>
    [
      `complete -c agent-runner ${condition}`,
      ...(short === null ? [] : [`-s ${short.slice(1)}`]),
      `-l ${long.slice(2)}`,
      ...(value === null ? [] : [valueOf(value.kind)]),
      `-d ${quoted(description)}`,
    ].join(" "),
  );
  const words = positionals.flatMap(({ kind }) => {
    if (kind === "run")
      return [`complete -c agent-runner ${condition} -a '(agent-runner completion runs 2>/dev/null)'`];
    return typeof kind === "string" ? [] : [`complete -c agent-runner ${condition} -a ${quoted(kind.join(" "))}`];
  });
  return [...flags, ...words].join("\n");
}

function valueOf(kind: ValueKind): string {
  switch (kind) {
    case "file":
      return "-r -F";
    case "folder":
      return "-x -a '(__fish_complete_directories)'";
    case "executor":
      return "-x -a '(agent-runner completion executors 2>/dev/null)'";
    case "text":
      return "-x";
    default:
      return `-x -a ${quoted(kind.join(" "))}`;
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
