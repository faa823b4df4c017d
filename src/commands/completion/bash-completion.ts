import type { CommandModel, OptionModel, ValueKind } from "./command-model.ts";

/** A script for bash 3.2 and newer. `commands` starts with the root command. */
export function bashCompletion(commands: readonly CommandModel[]): string {
  const [root, ...others] = commands;
  const names = others.map(({ name }) => name).join(" ");
  return `# Completion of agent-runner for bash. Made by: agent-runner completion bash
_agent_runner() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command="" skip="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ -n $skip ]]; then
      skip=""
      continue
    fi
    case \${COMP_WORDS[i]} in
      ${valueOptions(root?.options ?? []).join(" | ")}) skip=1 ;;
      -*) ;;
      *) command=\${COMP_WORDS[i]} && break ;;
    esac
  done
  case "$command $previous" in
${commands.flatMap(valueCases).join("\n")}
  esac
  local words=""
  case "$command" in
${commands.map((command) => wordCase(command, command === root ? names : "")).join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _agent_runner agent-runner
`;
}

function valueOptions(options: readonly OptionModel[]): string[] {
  return options.flatMap((option) => (option.value === null ? [] : spellings(option)));
}

function spellings({ long, short }: OptionModel): string[] {
  return short === null ? [long] : [long, short];
}

function valueCases({ name, options }: CommandModel): string[] {
  return options.flatMap((option) => {
    if (option.value === null) return [];
    const patterns = spellings(option).map((spelling) => `"${name} ${spelling}"`);
    return [`    ${patterns.join(" | ")})\n      ${completing(option.value.kind)}\n      return\n      ;;`];
  });
}

function completing(kind: ValueKind): string {
  switch (kind) {
    case "file":
      return 'COMPREPLY=($(compgen -f -- "$current"))';
    case "folder":
      return 'COMPREPLY=($(compgen -d -- "$current"))';
    case "executor":
      return 'COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" completion executors 2>/dev/null)" -- "$current"))';
    case "text":
      return ":";
    default:
      return `COMPREPLY=($(compgen -W "${kind.join(" ")}" -- "$current"))`;
  }
}

function wordCase({ name, options, positionals }: CommandModel, more: string): string {
  const kinds = positionals.map(({ kind }) =>
    kind === "run"
      ? '$("${COMP_WORDS[0]}" completion runs 2>/dev/null)'
      : typeof kind === "string"
        ? ""
        : kind.join(" "),
  );
  const flags = options.map(({ long }) => long).join(" ");
  const positional = [more, ...kinds].filter(Boolean).join(" ");
  // Offers options only after a `-`: most users want the next word.
  const shown =
    positional === ""
      ? `words="${flags}"`
      : `if [[ $current == -* ]]; then words="${flags}"; else words="${positional}"; fi`;
  return `    "${name}") ${shown} ;;`;
}
